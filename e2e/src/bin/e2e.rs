//! `cargo xtask e2e`: scenarios on a real cluster, and the main job with the whole product.

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    e2e::exit_code(&e2e::scenarios::run(&e2e::scenarios::Args::parse()))
}
