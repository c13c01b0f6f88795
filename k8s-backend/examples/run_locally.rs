//! Runs a small Job as a process of this machine and prints its phases.
//!
//! `cargo run -p k8s-backend --example run_locally`
#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use std::error::Error;

use futures::StreamExt as _;
use k8s_backend::{JobBackend as _, LocalBackend, LocalOptions};
use k8s_openapi::api::batch::v1::Job;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let options = LocalOptions::new(folder.path()).environment([("PATH", "/usr/local/bin:/usr/bin:/bin")]);
    let backend = LocalBackend::open(options).await?;

    let job: Job = serde_json::from_value(serde_json::json!({
        "metadata": {"name": "job-1-100-1"},
        "spec": {
            "activeDeadlineSeconds": 60,
            "template": {"spec": {"restartPolicy": "Never", "containers": [{
                "name": "executor",
                "command": ["sh", "-c", "echo \"hello, $WHO\"; sleep 1; exit 7"],
                "env": [{"name": "NAME", "value": "world"}, {"name": "WHO", "value": "$(NAME)"}],
            }]}},
        },
    }))?;
    println!("submitted: {:?}", backend.submit(&job.into()).await?);
    let mut phases = backend.watch("job-1-100-1");
    while let Some(phase) = phases.next().await {
        println!("phase: {:?}", phase?);
    }
    if let Some(output) = backend.output_of("job-1-100-1") {
        println!("output: {}", std::fs::read_to_string(output)?);
    }
    Ok(())
}
