//! Runs a Job that no crate of this workspace rendered, and follows it to its end:
//! `cargo run -p example-service --bin own-job`

#![expect(clippy::print_stdout, reason = "a program prints its result")]

use std::error::Error;

use k8s_backend::{Cause, JobBackendExt as _, LocalBackend, LocalOptions, RetryPolicy};
use k8s_openapi::api::batch::v1::Job;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let options = LocalOptions::new(folder.path()).environment([("PATH", "/usr/bin:/bin")]);
    let backend = LocalBackend::open(options).await?;
    let job: Job = serde_json::from_value(serde_json::json!({
        "metadata": {"name": "nightly-report"},
        "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [
            {"name": "report", "image": "busybox", "command": ["sh", "-c", "echo 42 rows"]}
        ]}}},
    }))?;
    let cause = backend.run_to_end_with(&job.into(), RetryPolicy::new(), |phase| println!("{phase}")).await?;
    println!("{}", std::fs::read_to_string(backend.output_of("nightly-report").ok_or("no output")?)?);
    if cause == Cause::Completed { Ok(()) } else { Err(cause.to_string().into()) }
}
