# One service: a number of replicas, and an address in front of them.

variable "name" {
  description = "Name of the service."
  type        = string
}

variable "replicas" {
  description = "How many copies run."
  type        = number

  validation {
    condition     = var.replicas >= 1 && floor(var.replicas) == var.replicas
    error_message = "A service runs as 1, 2, 3... copies."
  }
}

variable "network" {
  description = "Name of the network that the service joins."
  type        = string
}

variable "settings" {
  description = "What the service is told about its surroundings."
  type        = map(string)
}

resource "terraform_data" "replica" {
  for_each = toset([for number in range(var.replicas) : tostring(number)])

  input = {
    name     = "${var.settings.environment}-${var.name}-${each.key}"
    network  = var.network
    settings = var.settings
  }
}

resource "terraform_data" "address" {
  input            = "http://${var.name}.${var.network}.internal"
  triggers_replace = [for replica in terraform_data.replica : replica.id]
}

output "address" {
  description = "Where the service answers."
  value       = terraform_data.address.output
}
