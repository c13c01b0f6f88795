//! `cargo xtask chaos`: kills server, executors and terraform at random, and counts what was applied.

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    e2e::exit_code(&e2e::chaos::run(&e2e::chaos::Args::parse()))
}
