//! Templates: every key of the language, what it makes of a job, and every problem of a template.

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::support::World;

impl World {
    async fn try_template(&self, tcl: &str) -> (StatusCode, Value) {
        let path = format!("/v1/organizations/{}/templates", self.organization);
        let name = uuid::Uuid::new_v4().to_string();
        self.post(&path, json!({ "name": name, "tcl": tcl })).await
    }

    async fn job_of(&self, tcl: &str) -> (StatusCode, Value) {
        let (status, template) = self.try_template(tcl).await;
        assert_eq!(status, StatusCode::CREATED, "{template:#}");
        let path = format!("/v1/workspaces/{}/jobs", self.workspace);
        self.post(&path, json!({ "templateId": template["id"] })).await
    }
}

#[tokio::test]
async fn every_problem_of_a_template_is_reported_with_its_path() {
    let world = World::new().await;
    let (status, problem) = world
        .try_template(
            "flow:\n- {type: plan, step: 1, retries: 2}\n- {type: terraformPlan, step: 2, commands: \
             [{runtime: SH, script: x}]}\n- {type: approval, step: 2}\n",
        )
        .await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem:#}");
    assert_eq!(problem["detail"], "template is not usable: it has 4 problems");
    let found: Vec<_> = problem["problems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|found| (found["key"].as_str().unwrap(), found["found"].as_str()))
        .collect();
    assert_eq!(
        found,
        [
            ("flow[0].retries", None),
            ("flow[0].type", Some("plan")),
            ("flow[1].commands[0].runtime", Some("SH")),
            ("flow[2].step", Some("2")),
        ]
    );
    for found in problem["problems"].as_array().unwrap() {
        assert!(found["expected"].is_string() && found["source"] == "request", "{found:#}");
    }
    for text in ["flow:\n- {type: approval\n  step: [", "- a\n", ""] {
        let (status, problem) = world.try_template(text).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(!problem["detail"].as_str().unwrap().contains('\n'), "{problem:#}");
        assert_eq!(problem["problems"].as_array().unwrap().len(), 1, "{problem:#}");
    }
}

#[tokio::test]
async fn keys_that_do_not_do_what_they_seem_to_are_warnings() {
    let world = World::new().await;
    let (status, created) = world.try_template("flow:\n- {type: approval, step: 1, team: OPS}\n").await;
    assert_eq!(status, StatusCode::CREATED, "{created:#}");
    assert_eq!(created["warnings"][0]["key"], "flow[0].team");
    let (_, created) =
        world.try_template("flow:\n- {type: terraformPlan, step: 1, ignoreError: false}\n").await;
    assert_eq!(created["warnings"], Value::Null);
}

const SCRIPTS: &str = "
flow:
- type: terraformPlan
  step: 100
  ignoreError: true
  commands:
  - {runtime: BASH, priority: 10, before: true, script: echo before}
  onFailure:
  - {runtime: BASH, script: echo failed}
  importComands: {repository: 'https://git.example.com/x.git', branch: main, folder: /checks}
- type: approval
  step: 150
  team: OPS
  commands: [{runtime: BASH, script: echo approved}]
  onReject: [{runtime: BASH, script: echo rejected}]
- {type: customScripts, step: 200, commands: [{runtime: BASH, script: 'true'}]}
";

#[tokio::test]
async fn scripts_of_a_step_are_in_its_payload() {
    let world = World::new().await;
    let (status, job) = world.job_of(SCRIPTS).await;
    assert_eq!(status, StatusCode::CREATED, "{job:#}");
    let numbers: Vec<_> =
        job["steps"].as_array().unwrap().iter().map(|step| step["number"].clone()).collect();
    assert_eq!(numbers, [100, 150, 151, 152, 200]);
    assert_eq!(job["steps"][1]["team"], "OPS");
    let id = job["id"].as_i64().unwrap();
    let payload = world.payload(&format!("job-{id}-100-1")).await;
    assert_eq!(payload["commandList"][0]["script"], "echo before");
    assert_eq!((&payload["commandList"][0]["before"], &payload["ignoreError"]), (&json!(true), &json!(true)));
    assert_eq!(payload["onFailureList"][0]["script"], "echo failed");
    assert_eq!(payload["importCommands"]["folder"], "/checks");
}

#[tokio::test]
async fn rejection_runs_its_scripts_before_the_job_ends() {
    let world = World::new().await;
    for (answer, number, script, end) in
        [("reject", 152, "echo rejected", "rejected"), ("approve", 151, "echo approved", "completed")]
    {
        let (_, job) = world.job_of(SCRIPTS).await;
        let id = job["id"].as_i64().unwrap();
        let plan = world.executor(&format!("job-{id}-100-1")).await;
        plan.claim("plan").await;
        // The failure of the plan is ignored: there is no plan, and the job goes on.
        plan.report("completed", Some(false)).await;
        world.wait_for_status(id, "waitingApproval").await;
        let (status, _) = world.post(&format!("/v1/jobs/{id}/{answer}"), json!({})).await;
        assert_eq!(status, StatusCode::OK);
        let name = format!("job-{id}-{number}-1");
        let payload = world.payload(&name).await;
        assert_eq!(
            (&payload["type"], &payload["commandList"][0]["script"]),
            (&json!("customScripts"), &json!(script))
        );
        let scripts = world.executor(&name).await;
        scripts.claim("scripts").await;
        scripts.report("completed", None).await;
        if answer == "approve" {
            let last = world.executor(&format!("job-{id}-200-1")).await;
            last.claim("last").await;
            last.report("completed", None).await;
        }
        let ended = world.wait_for_status(id, end).await;
        let skipped = if answer == "approve" { 3 } else { 2 };
        assert_eq!(ended["steps"][skipped]["status"], "notExecuted", "{ended:#}");
    }
}

#[tokio::test]
async fn plan_without_changes_is_followed_by_a_destroy() {
    let world = World::new().await;
    let job = world.job(&["terraformPlan", "terraformDestroy"]).await;
    let plan = world.executor(&format!("job-{job}-100-1")).await;
    plan.claim("plan").await;
    plan.report("completed", Some(false)).await;
    let destroy = world.executor(&format!("job-{job}-200-1")).await;
    destroy.claim("destroy").await;
    destroy.report("completed", None).await;
    world.wait_for_status(job, "completed").await;
}

#[tokio::test]
async fn inputs_restrict_and_rename_global_variables() {
    let world = World::new().await;
    let variable =
        |key: &str, value: &str, category: &str| json!({ "key": key, "value": value, "category": category });
    for (path, body) in [
        (world.globals(), variable("REGION", "eu", "ENV")),
        (world.globals(), variable("OTHER", "hidden", "ENV")),
        (world.globals(), variable("EPHEMERAL_CPU_REQUEST", "100m", "ENV")),
        (world.globals(), variable("size", "3", "TERRAFORM")),
        (world.globals(), variable("color", "red", "TERRAFORM")),
        (world.variables(), variable("OWN", "mine", "ENV")),
    ] {
        world.create(&path, body).await;
    }
    let tcl = "flow:\n- {type: terraformPlan, step: 1, inputsEnv: {AWS_REGION: $REGION}, inputsTerraform: \
               {count_of: $size}}\n";
    let (status, job) = world.job_of(tcl).await;
    assert_eq!(status, StatusCode::CREATED, "{job:#}");
    let payload = world.payload(&format!("job-{}-1-1", job["id"])).await;
    let env = &payload["environmentVariables"];
    assert_eq!((&env["AWS_REGION"], &env["OWN"]), (&json!("eu"), &json!("mine")), "{payload:#}");
    assert_eq!((&env["OTHER"], &env["REGION"]), (&Value::Null, &Value::Null), "{payload:#}");
    assert_eq!(env["EPHEMERAL_CPU_REQUEST"], "100m");
    assert_eq!(payload["variables"], json!({ "count_of": "3" }));

    let (status, problem) =
        world.job_of("flow:\n- {type: terraformPlan, step: 1, inputsEnv: {A: $NOWHERE}}\n").await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem:#}");
    assert_eq!(problem["problems"][0]["key"], "inputsEnv.A");
}
