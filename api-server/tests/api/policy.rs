//! Settings file and policy of the operator: what they refuse, decide and warn of.

use reqwest::StatusCode;

use super::support::{Operator, World};

const STRICT: &str = "[default.values]\nEPHEMERAL_CONFIG_SERVICE_ACCOUNT = [\"terraform-*\"]\n\
    [organizations.other.values]\nEPHEMERAL_CONFIG_SERVICE_ACCOUNT = [\"*\"]\n";

#[tokio::test]
async fn rejects_variable_that_the_policy_forbids_when_it_is_set() {
    let world = World::under(Operator { policy: STRICT, ..Operator::default() }).await;
    for path in [world.variables(), world.globals()] {
        let (status, problem) =
            world.try_variable(&path, "EPHEMERAL_CONFIG_SERVICE_ACCOUNT", "cluster-admin").await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem:#}");
        let problems = problem["problems"].as_array().unwrap();
        assert_eq!(problems.len(), 1, "{problem:#}");
        assert_eq!(problems[0]["found"], "cluster-admin");
        assert_eq!(
            problems[0]["expected"],
            "terraform-*, by policy default.values.EPHEMERAL_CONFIG_SERVICE_ACCOUNT"
        );
        assert_eq!(world.get(&path).await["items"].as_array().unwrap().len(), 0);
        let (status, answer) =
            world.try_variable(&path, "EPHEMERAL_CONFIG_SERVICE_ACCOUNT", "terraform-net").await;
        assert_eq!(status, StatusCode::CREATED, "{answer:#}");
    }
}

#[tokio::test]
async fn rejects_job_whose_variables_a_newer_policy_forbids() {
    let loose = "[default]\nallow = [\"EPHEMERAL_CONFIG_IMAGE\"]\n";
    let mut world = World::under(Operator { policy: loose, ..Operator::default() }).await;
    world.variable("EPHEMERAL_CONFIG_SERVICE_ACCOUNT", "cluster-admin").await;
    world.variable("EPHEMERAL_CONFIG_IMAGE", "registry.example/own:1").await;
    world.start_again_under(Operator { policy: STRICT, ..Operator::default() }).await;
    let (status, problem) = world.try_job(&["terraformPlan"]).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem:#}");
    let problems = problem["problems"].as_array().unwrap();
    let keys: Vec<&str> = problems.iter().map(|problem| problem["key"].as_str().unwrap()).collect();
    assert_eq!(keys, ["EPHEMERAL_CONFIG_IMAGE", "EPHEMERAL_CONFIG_SERVICE_ACCOUNT"]);
    assert_eq!(problems[1]["found"], "cluster-admin");
    assert_eq!(
        problems[1]["expected"],
        "terraform-*, by policy default.values.EPHEMERAL_CONFIG_SERVICE_ACCOUNT"
    );
    let jobs = world.get(&format!("/v1/workspaces/{}/jobs", world.workspace)).await;
    assert_eq!(jobs["items"].as_array().unwrap().len(), 0, "{jobs:#}");
    assert!(world.backend.names().is_empty());
}

#[tokio::test]
async fn finds_organization_by_name_in_both_files_and_warns_of_the_settings_file() {
    let settings = "[organizations.acme.variables]\n\
        EPHEMERAL_CONFIG_POD_SECURITY_CONTEXT = \"runAsUser=0\"\nEPHEMERAL_CPU_REQUEST = \"1\"\n";
    let policy = "[organizations.acme]\npod-security = \"restricted\"\nallow = [\"EPHEMERAL_CONFIG_IMAGE\"]\n\
        [organizations.acme.maximum]\ncpu = \"3\"\n";
    let world = World::under(Operator { settings, policy, ..Operator::default() }).await;
    world.variable("EPHEMERAL_CONFIG_IMAGE", "registry.example/own:1").await;
    let (status, job) = world.try_job(&["terraformPlan", "terraformApply"]).await;
    assert_eq!(status, StatusCode::CREATED, "{job:#}");
    let warnings = job["warnings"].as_array().unwrap();
    let keys: Vec<&str> = warnings.iter().map(|warning| warning["key"].as_str().unwrap()).collect();
    let key = "organizations.acme.variables.EPHEMERAL_CONFIG_POD_SECURITY_CONTEXT";
    assert!(!keys.is_empty() && keys.iter().all(|found| *found == key), "{warnings:#?}");

    let name = format!("job-{}-100-1", job["id"]);
    world.submitted(&name).await;
    let pod = world.backend.job(&name).unwrap().spec.unwrap().template.spec.unwrap();
    let container = &pod.containers[0];
    assert_eq!(container.image.as_deref(), Some("registry.example/own:1"));
    let resources = container.resources.as_ref().unwrap();
    assert_eq!(resources.requests.as_ref().unwrap()["cpu"].0, "1");
    assert_eq!(resources.limits.as_ref().unwrap()["cpu"].0, "3");
    assert_eq!(pod.security_context.unwrap().run_as_user, Some(0));
}

#[tokio::test]
async fn explains_kubernetes_job_of_a_workspace_without_a_job() {
    let mut world = World::new().await;
    world.variable("EPHEMERAL_MEMORY_LIMIT_APPLY", "1Gi").await;
    world.variable("EPHEMERAL_CPU_LIMIT", "4").await;
    world.variable("EPHEMERAL_JOB_ENV_VARS", "TOKEN=hunter2").await;
    let policy = "[default.maximum]\ncpu = \"3\"\n";
    world.start_again_under(Operator { policy, ..Operator::default() }).await;
    let path = format!("/v1/workspaces/{}/explanation", world.workspace);
    let answer = world.get(&format!("{path}?stepType=terraformApply")).await;
    assert_eq!(answer["refused"][0]["key"], "EPHEMERAL_CPU_LIMIT", "{answer:#}");
    let limits = &answer["job"]["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"];
    assert_eq!((&limits["cpu"], &limits["memory"]), (&"3".into(), &"1Gi".into()));
    let fields = answer["fields"].as_array().unwrap();
    let limit = fields.iter().find(|field| field["path"].as_str().unwrap().ends_with("limits.memory"));
    assert_eq!(limit.unwrap()["key"], "EPHEMERAL_MEMORY_LIMIT_APPLY");
    assert!(!answer.to_string().contains("hunter2"));

    let old = world.get(&format!("{path}?profile=compatible")).await;
    let limits = &old["job"]["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"];
    assert_eq!(limits, &serde_json::Value::Null, "what the policy refuses is not shown: {old:#}");
    let defects = old["defects"].as_array().unwrap();
    assert!(defects.iter().any(|defect| defect["about"] == "EPHEMERAL_CPU_LIMIT"), "{old:#}");
    assert_eq!(old["defects"][0]["about"], "metadata.name");

    let approval = world.request("GET", &format!("{path}?stepType=approval")).send().await.unwrap();
    assert_eq!(approval.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert!(world.backend.names().is_empty());
}
