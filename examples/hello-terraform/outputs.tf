output "network" {
  description = "Name of the network."
  value       = terraform_data.network.output.name
}

output "services" {
  description = "Where each service answers."
  value       = { for name, service in module.service : name => service.address }
}

output "database_password" {
  description = "What the database was made with; hidden wherever it is shown."
  value       = terraform_data.database.output.password
  sensitive   = true
}
