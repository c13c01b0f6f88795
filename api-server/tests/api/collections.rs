//! Global variables and collections: precedence, attaching, and who sees problems.

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::support::World;

fn variable(category: &str, key: &str, value: &str) -> Value {
    json!({ "key": key, "value": value, "category": category })
}

fn attached(workspace: &str, collection: &str) -> String {
    format!("/v1/workspaces/{workspace}/collections/{collection}")
}

impl World {
    fn items(&self, collection: &str) -> String {
        format!("{}/{collection}/variables", self.collections())
    }

    pub(crate) async fn payload(&self, name: &str) -> Value {
        use base64::{Engine as _, engine::general_purpose::STANDARD};
        self.submitted(name).await;
        let pod = self.backend.job(name).unwrap().spec.unwrap().template.spec.unwrap();
        let env = pod.containers[0].env.as_ref().unwrap();
        let data = env.iter().find(|entry| entry.name == "EphemeralJobData").unwrap().value.as_ref().unwrap();
        serde_json::from_slice(&STANDARD.decode(data).unwrap()).unwrap()
    }
}

#[tokio::test]
async fn workspace_overrides_global_overrides_collections_by_priority_in_both_categories() {
    let world = World::new().await;
    let (low, high) = (world.collection("low", -1).await, world.collection("high", 7).await);
    for collection in [&low, &high] {
        let (status, answer) = world.put(&attached(&world.workspace, collection)).await;
        assert_eq!(status, StatusCode::OK, "{answer:#}");
    }
    for category in ["ENV", "TERRAFORM"] {
        for (path, value, keys) in [
            (world.variables(), "workspace", vec!["a"]),
            (world.globals(), "global", vec!["a", "b"]),
            (world.items(&high), "high", vec!["a", "b", "c"]),
            (world.items(&low), "low", vec!["a", "b", "c", "d"]),
        ] {
            for key in keys {
                world.create(&path, variable(category, key, value)).await;
            }
        }
    }
    let job = world.job(&["terraformPlan"]).await;
    let payload = world.payload(&format!("job-{job}-100-1")).await;
    let expected = json!({ "a": "workspace", "b": "global", "c": "high", "d": "low" });
    assert_eq!(payload["variables"], expected, "{payload:#}");
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(&payload["environmentVariables"][key], value, "{payload:#}");
    }
    assert_eq!(payload["environmentVariables"]["organizationName"], "acme");
    let listed = world.get(&format!("/v1/workspaces/{}/collections", world.workspace)).await;
    assert_eq!((&listed["items"][0]["name"], &listed["items"][1]["name"]), (&json!("high"), &json!("low")));
}

#[tokio::test]
async fn global_variable_does_not_override_the_presets_of_a_workspace() {
    let world = World::new().await;
    world.create(&world.globals(), variable("ENV", "workspaceName", "other")).await;
    let job = world.job(&["terraformPlan"]).await;
    let payload = world.payload(&format!("job-{job}-100-1")).await;
    assert_eq!(payload["environmentVariables"]["workspaceName"], "net");
}

#[tokio::test]
async fn explanation_names_the_layer_of_each_value() {
    let world = World::new().await;
    let gpu = world.collection("gpu", 0).await;
    world.create(&world.items(&gpu), variable("ENV", "EPHEMERAL_CPU_LIMIT", "2")).await;
    world.create(&world.globals(), variable("ENV", "EPHEMERAL_MEMORY_LIMIT", "1Gi")).await;
    world.put(&attached(&world.workspace, &gpu)).await;
    let answer = world.get(&format!("/v1/workspaces/{}/explanation", world.workspace)).await;
    let origin = |end: &str| {
        let mut fields = answer["fields"].as_array().unwrap().iter();
        let field = fields.find(|field| field["path"].as_str().unwrap().ends_with(end)).unwrap();
        format!("{} {}", field["source"].as_str().unwrap(), field["key"].as_str().unwrap())
    };
    assert_eq!(origin("limits.cpu"), "collection gpu/EPHEMERAL_CPU_LIMIT");
    assert_eq!(origin("limits.memory"), "global EPHEMERAL_MEMORY_LIMIT");
}

#[tokio::test]
async fn sensitive_values_of_every_layer_are_write_only_and_masked_by_the_executor() {
    let world = World::new().await;
    let shared = world.collection("shared", 0).await;
    world.put(&attached(&world.workspace, &shared)).await;
    for (path, key) in [(world.globals(), "GLOBAL_TOKEN"), (world.items(&shared), "SHARED_TOKEN")] {
        let body = json!({ "key": key, "value": "hunter2", "category": "ENV", "sensitive": true });
        let (status, created) = world.post(&path, body).await;
        assert_eq!((status, &created["value"]), (StatusCode::CREATED, &Value::Null));
        let listed = world.get(&path).await;
        assert_eq!(listed["items"][0]["sensitive"], true);
        assert!(!listed.to_string().contains("hunter2"), "{listed:#}");
    }
    // A value of the workspace that is no secret overrides a sensitive one.
    world
        .create(
            &world.globals(),
            json!({ "key": "REGION", "value": "elsewhere", "category": "ENV", "sensitive": true }),
        )
        .await;
    world.variable("REGION", "eu-central-1").await;
    let job = world.job(&["terraformPlan"]).await;
    let executor = world.executor(&format!("job-{job}-100-1")).await;
    let (_, claim) = executor.claim("e").await;
    assert_eq!(claim["sensitive"], json!(["GLOBAL_TOKEN", "SHARED_TOKEN"]));
}

#[tokio::test]
async fn rejects_names_and_keys_that_exist() {
    let world = World::new().await;
    let gpu = world.collection("gpu", 1).await;
    let (status, problem) = world.post(&world.collections(), json!({ "name": "gpu", "priority": 2 })).await;
    assert_eq!(status, StatusCode::CONFLICT, "{problem:#}");
    for path in [world.globals(), world.items(&gpu)] {
        world.create(&path, variable("ENV", "A", "1")).await;
        assert_eq!(world.post(&path, variable("ENV", "A", "2")).await.0, StatusCode::CONFLICT);
        // The other category is another variable.
        world.create(&path, variable("TERRAFORM", "A", "2")).await;
    }
    let (status, problem) = world.post(&world.collections(), json!({ "name": "a/b" })).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem:#}");
}

#[tokio::test]
async fn collection_is_attached_once_and_detached_once() {
    let world = World::new().await;
    let gpu = world.collection("gpu", 1).await;
    let path = attached(&world.workspace, &gpu);
    assert_eq!(world.put(&path).await.0, StatusCode::OK);
    assert_eq!(world.put(&path).await.0, StatusCode::OK);
    let list = format!("/v1/workspaces/{}/collections", world.workspace);
    assert_eq!(world.get(&list).await["items"].as_array().unwrap().len(), 1);
    assert_eq!(world.delete(&path).await.0, StatusCode::NO_CONTENT);
    assert_eq!(world.delete(&path).await.0, StatusCode::NO_CONTENT);
    assert_eq!(world.get(&list).await["items"], json!([]));
}

#[tokio::test]
async fn rejects_unknown_collection_and_that_of_another_organization() {
    let world = World::new().await;
    let other = world.create("/v1/organizations", json!({ "name": "other" })).await;
    let gpu = world.collection("gpu", 1).await;
    let stranger = world.another_workspace(&other, "net").await;
    for (workspace, collection) in
        [(&stranger, gpu.as_str()), (&world.workspace, "00000000-0000-0000-0000-000000000000")]
    {
        let (status, problem) = world.put(&attached(workspace, collection)).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{problem:#}");
        assert_eq!(problem["detail"], format!("there is no collection {collection:?}"));
    }
    let items = format!("/v1/organizations/{other}/collections/{gpu}/variables");
    assert_eq!(world.post(&items, variable("ENV", "A", "1")).await.0, StatusCode::NOT_FOUND);
    assert_eq!(world.request("GET", &items).send().await.unwrap().status(), StatusCode::NOT_FOUND);
    assert_eq!(
        world.delete(&format!("/v1/organizations/{other}/collections/{gpu}")).await.0,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn collection_in_use_is_not_deleted() {
    let world = World::new().await;
    let gpu = world.collection("gpu", 1).await;
    world.create(&world.items(&gpu), variable("ENV", "A", "1")).await;
    world.put(&attached(&world.workspace, &gpu)).await;
    let path = format!("{}/{gpu}", world.collections());
    let (status, problem) = world.delete(&path).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert!(problem["detail"].as_str().unwrap().contains("\"net\""), "{problem:#}");
    world.delete(&attached(&world.workspace, &gpu)).await;
    assert_eq!(world.delete(&path).await.0, StatusCode::NO_CONTENT);
    assert_eq!(world.get(&world.collections()).await["items"], json!([]));
    assert_eq!(world.delete(&path).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn global_variable_that_is_wrong_for_every_workspace_is_refused() {
    let world = World::new().await;
    let gpu = world.collection("gpu", 1).await;
    for path in [world.globals(), world.items(&gpu)] {
        let (status, problem) = world.try_variable(&path, "EPHEMERAL_CONFIG_TOLERATIONS", "gpu:Exsts").await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem:#}");
        assert_eq!(world.get(&path).await["items"], json!([]));
    }
}

#[tokio::test]
async fn global_variable_that_breaks_some_workspaces_is_set_and_names_them() {
    let world = World::new().await;
    // Valid with the default limits, not with a lower one.
    world.variable("EPHEMERAL_CPU_REQUEST", "3").await;
    let untouched = world.another_workspace(&world.organization, "untouched").await;
    let (status, answer) = world.try_variable(&world.globals(), "EPHEMERAL_CPU_LIMIT", "2").await;
    assert_eq!(status, StatusCode::CREATED, "{answer:#}");
    let warnings = answer["warnings"].as_array().unwrap();
    assert!(!warnings.is_empty() && warnings.iter().all(|w| w["workspaces"] == json!(["net"])), "{answer:#}");
    // The owner of the workspace sees the problem when a job is created.
    let (status, problem) = world.try_job(&["terraformPlan"]).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem:#}");
    assert!(problem.to_string().contains("EPHEMERAL_CPU_LIMIT"), "{problem:#}");
    assert_eq!(world.get(&format!("/v1/workspaces/{untouched}/explanation")).await["refused"], json!([]));
}

#[tokio::test]
async fn deleting_a_global_variable_names_the_workspaces_that_need_it() {
    let world = World::new().await;
    let name = world.create(&world.globals(), variable("ENV", "EPHEMERAL_CONFIG_MAP_NAME", "ca")).await;
    world.variable("EPHEMERAL_CONFIG_MAP_MOUNT_PATH", "/opt/ca").await;
    let (status, answer) = world.delete(&format!("{}/{name}", world.globals())).await;
    assert_eq!(status, StatusCode::OK, "{answer:#}");
    assert_eq!(answer["warnings"][0]["key"], "EPHEMERAL_CONFIG_MAP_MOUNT_PATH", "{answer:#}");
    assert_eq!(answer["warnings"][0]["workspaces"], json!(["net"]));
}

#[tokio::test]
async fn attaching_a_collection_that_breaks_the_workspace_is_refused() {
    let world = World::new().await;
    world.variable("EPHEMERAL_CPU_REQUEST", "3").await;
    let small = world.collection("small", 1).await;
    world.create(&world.items(&small), variable("ENV", "EPHEMERAL_CPU_LIMIT", "2")).await;
    let (status, problem) = world.put(&attached(&world.workspace, &small)).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem:#}");
    let list = format!("/v1/workspaces/{}/collections", world.workspace);
    assert_eq!(world.get(&list).await["items"], json!([]));
}

#[tokio::test]
async fn rejects_organization_that_is_named_like_the_id_of_another() {
    let world = World::new().await;
    let upper = world.organization.to_uppercase();
    // A policy may have rules for an organization that is created later.
    for name in [world.organization.as_str(), upper.as_str(), "7c1d2e5a-0000-4000-8000-000000000002"] {
        let (status, problem) = world.post("/v1/organizations", json!({ "name": name })).await;
        assert_eq!(status, StatusCode::CONFLICT, "{problem:#}");
    }
}
