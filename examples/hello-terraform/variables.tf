variable "environment" {
  description = "Name of the environment; every other name starts with it."
  type        = string
  default     = "demo"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,20}$", var.environment))
    error_message = "An environment is named with 2 to 21 lower-case letters, digits and dashes, a letter first."
  }
}

variable "owner" {
  description = "Who is asked when something is wrong."
  type        = string
  default     = "nobody"
}

variable "network_cidr" {
  description = "Address range of the network."
  type        = string
  default     = "10.20.0.0/16"
}

variable "database_engine" {
  description = "Another engine means another database."
  type        = string
  default     = "postgresql-17"
}

variable "database_password" {
  description = "Has no default on purpose: it belongs into a sensitive variable of the workspace."
  type        = string
  sensitive   = true

  validation {
    condition     = length(var.database_password) >= 12
    error_message = "The password needs at least 12 characters."
  }
}

variable "services" {
  description = "The services to run: name to number of replicas."
  type        = map(number)
  default = {
    web    = 2
    worker = 1
  }
}
