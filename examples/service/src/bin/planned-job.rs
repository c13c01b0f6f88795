//! Plans the Kubernetes Job of a Terraform step, runs it as a local process and follows it to its end:
//! `cargo run -p example-service --bin planned-job -- EPHEMERAL_CPU_LIMIT=2`

#![expect(clippy::print_stdout, reason = "a program prints its result")]

use std::{env, error::Error};

use config_core::{EnvSnapshot, EphemeralSettings, Policy, Variables};
use job_spec::{AttemptKey, EphemeralJobData, Organization, Planner, StepType};
use k8s_backend::{Cause, JobBackendExt as _, LocalBackend, LocalOptions, RetryPolicy};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    // Once, at the start of the service: the operator's settings and policy, and a backend.
    let environment: EnvSnapshot =
        [("ExecutorEphemeralImage", "azbuilder/executor:2.27.2")].into_iter().collect();
    let settings = EphemeralSettings::load(&environment)?;
    let policy = Policy::parse("[default.maximum]\ncpu = '4'\n")?;
    let planner = Planner::new(&settings, &policy);
    let folder = tempfile::tempdir()?;
    // In place of the image's executor, a program that prints its environment.
    let secrets = folder.path().join("secrets");
    std::fs::create_dir_all(secrets.join("terrakube-executor-secrets"))?;
    let options = LocalOptions::new(folder.path().join("jobs")).secrets(secrets).entry_point("/usr/bin/env");
    let backend = LocalBackend::open(options).await?;

    // For each step: the variables of its workspace, here the arguments of this program.
    let arguments: Vec<String> = env::args().skip(1).collect();
    let pairs = arguments.iter().map(|pair| pair.split_once('=').ok_or("expected NAME=VALUE"));
    let variables = pairs.collect::<Result<Variables, _>>()?;
    let key = AttemptKey::new(Organization::new("org-1", "acme"), "dev", 42, 100, 1);
    let payload = EphemeralJobData::new(StepType::TerraformPlan, &key, "step-1")
        .with_source("https://github.com/acme/infra.git", "main")
        .with_environment(&planner.environment(&variables, &key));
    let plan = planner.plan(&variables, &payload, &key, None)?;
    let submission = plan.into_objects().into();
    let cause = backend.run_to_end_with(&submission, RetryPolicy::new(), |phase| println!("{phase}")).await?;
    println!("{}", std::fs::read_to_string(backend.output_of("job-42-100-1").ok_or("no output")?)?);
    if cause == Cause::Completed { Ok(()) } else { Err(cause.to_string().into()) }
}
