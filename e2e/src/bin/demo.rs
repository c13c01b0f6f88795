//! `cargo xtask demo`: a Terraform configuration from plan to destroy on this machine.

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    e2e::exit_code(&e2e::demo::run(&e2e::demo::Args::parse()))
}
