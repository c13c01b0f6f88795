//! placeholder for the demo to come
use crate::{environment::Environment, test::Programs};
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}
impl Args {
    pub(crate) fn answering_yes() -> Self {
        Self {}
    }
}
pub(crate) fn run(_e: &Environment, _a: &Args) -> anyhow::Result<()> {
    Ok(())
}
pub(crate) fn run_with(_e: &Environment, _a: &Args, _p: &Programs) -> anyhow::Result<()> {
    Ok(())
}
