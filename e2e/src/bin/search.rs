//! `cargo xtask search`: histories of a model of the product that break a promise.

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    e2e::exit_code(&e2e::search::run(&e2e::search::Args::parse()))
}
