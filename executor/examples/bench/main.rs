//! Measures the executor: `cargo xtask bench executor` and `cargo xtask bench providers` build it and start
//! this.
//!
//! Both sides of a comparison use the same server in memory, in the same run.

#![expect(clippy::print_stdout, reason = "a program prints its result")]

use std::error::Error;

mod attempt;
mod providers;
mod server;
mod steps;

type Outcome<T> = Result<T, Box<dyn Error>>;

#[tokio::main]
async fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["steps", executor, rounds] => steps::run(executor, rounds.parse()?).await,
        ["providers", executor, mirror] => providers::run(executor.as_ref(), mirror.as_ref()).await,
        _ => Err("expected `steps EXECUTOR ROUNDS` or `providers EXECUTOR MIRROR`".into()),
    }
}

fn search_path() -> Outcome<String> {
    #[expect(clippy::disallowed_methods, reason = "programs are found as in a shell")]
    Ok(std::env::var("PATH")?)
}
