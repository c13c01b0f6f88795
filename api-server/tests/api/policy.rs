//! The operator's two files: what they refuse, what they decide, and what they warn of.

use reqwest::StatusCode;

use super::support::{Operator, World};

#[tokio::test]
async fn a_variable_that_the_policy_refuses_is_a_422_before_anything_is_created() {
    let policy = "[default.values]\nEPHEMERAL_CONFIG_SERVICE_ACCOUNT = [\"terraform-*\"]\n\
        [organizations.other.values]\nEPHEMERAL_CONFIG_SERVICE_ACCOUNT = [\"*\"]\n";
    let world = World::under(Operator { policy, ..Operator::default() }).await;
    world.variable("EPHEMERAL_CONFIG_SERVICE_ACCOUNT", "cluster-admin").await;
    world.variable("EPHEMERAL_CONFIG_IMAGE", "registry.example/own:1").await;
    let (status, problem) = world.try_job(&["terraformPlan"]).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem:#}");
    let faults = problem["problems"].as_array().unwrap();
    let keys: Vec<&str> = faults.iter().map(|fault| fault["key"].as_str().unwrap()).collect();
    assert_eq!(keys, ["EPHEMERAL_CONFIG_IMAGE", "EPHEMERAL_CONFIG_SERVICE_ACCOUNT"]);
    assert_eq!(faults[1]["found"], "cluster-admin");
    assert_eq!(
        faults[1]["expected"],
        "terraform-*, by policy default.values.EPHEMERAL_CONFIG_SERVICE_ACCOUNT"
    );
    let jobs = world.get(&format!("/v1/workspaces/{}/jobs", world.workspace)).await;
    assert_eq!(jobs["items"].as_array().unwrap().len(), 0, "{jobs:#}");
    assert!(world.backend.names().is_empty());
}

#[tokio::test]
async fn an_organization_is_found_in_both_files_by_its_name_and_the_operator_is_warned_of_his_own_files() {
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
async fn the_kubernetes_job_of_a_workspace_is_explained_without_a_job() {
    let policy = "[default.maximum]\ncpu = \"3\"\n";
    let world = World::under(Operator { policy, ..Operator::default() }).await;
    world.variable("EPHEMERAL_MEMORY_LIMIT_APPLY", "1Gi").await;
    world.variable("EPHEMERAL_CPU_LIMIT", "4").await;
    world.variable("EPHEMERAL_JOB_ENV_VARS", "TOKEN=hunter2").await;
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
    assert_eq!(limits, &serde_json::json!({ "cpu": "4" }));
    assert_eq!(old["defects"][0]["about"], "metadata.name");

    let approval = world.request("GET", &format!("{path}?stepType=approval")).send().await.unwrap();
    assert_eq!(approval.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert!(world.backend.names().is_empty());
}
