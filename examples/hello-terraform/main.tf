# Needs no provider from anywhere: `terraform_data` is built into Terraform and OpenTofu.

terraform {
  required_version = ">= 1.4.0"
}

locals {
  # What every part of the application is told.
  settings = {
    environment = var.environment
    owner       = var.owner
  }
}

# The first thing to exist: everything else takes its name from here.
resource "terraform_data" "network" {
  input = {
    name = "${var.environment}-network"
    cidr = var.network_cidr
  }
}

# Stands for a database: changed settings are changed in place, a changed engine means a new one.
resource "terraform_data" "database" {
  input = {
    network  = terraform_data.network.output.name
    settings = local.settings
    # Sensitive: Terraform shows it nowhere, but writes it into plan files and states.
    password = var.database_password
  }
  triggers_replace = [var.database_engine]
}

# One service per entry of the variable, each from the same module.
module "service" {
  source   = "./service"
  for_each = var.services

  name     = each.key
  replicas = each.value
  network  = terraform_data.network.output.name
  settings = local.settings
}

# Takes a moment, so that there is a live log to watch.
resource "terraform_data" "smoke_test" {
  input = { for name, service in module.service : name => service.address }

  provisioner "local-exec" {
    command = <<-EOT
      for service in ${join(" ", keys(var.services))}; do
        echo "checking $service ..."
        sleep 0.4
      done
      echo "all services answer"
    EOT
  }

  depends_on = [terraform_data.database]
}
