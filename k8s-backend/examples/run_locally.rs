//! Runs a Job that no other crate made as a process of this machine: `cargo run -p k8s-backend --example
//! run_locally`.

#![expect(clippy::print_stdout, reason = "a program prints its result")]

use std::error::Error;

use k8s_backend::{JobBackendExt as _, LocalBackend, LocalOptions, RetryPolicy};
use k8s_openapi::api::batch::v1::Job;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let options = LocalOptions::new(folder.path()).environment([("PATH", "/usr/local/bin:/usr/bin:/bin")]);
    let backend = LocalBackend::open(options).await?;

    let job: Job = serde_json::from_value(serde_json::json!({
        "metadata": {"name": "greeting"},
        "spec": {"activeDeadlineSeconds": 60, "template": {"spec": {"restartPolicy": "Never", "containers": [{
            "name": "greeter",
            "command": ["sh", "-c", "echo \"hello, $WHO\"; exit 7"],
            "env": [{"name": "WHO", "value": "world"}],
        }]}}},
    }))?;
    let print = |phase: &_| println!("{phase}");
    let cause = backend.run_to_end_with(&job.into(), RetryPolicy::new(), print).await?;
    if let Some(output) = backend.output_of("greeting") {
        print!("{}", std::fs::read_to_string(output)?);
    }
    println!("cause: {cause}");
    Ok(())
}
