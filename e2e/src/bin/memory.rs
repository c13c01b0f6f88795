//! `cargo xtask memory`: the memory of the api-server under clients that try to exhaust it.

use std::process::ExitCode;

fn main() -> ExitCode {
    e2e::exit_code(&e2e::memory::run())
}
