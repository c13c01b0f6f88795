//! Every error is a problem detail (RFC 9457), whichever layer finds it.

use reqwest::{StatusCode, header};
use serde_json::{Value, json};

use super::support::World;

#[tokio::test]
async fn every_rejection_is_a_problem_detail() {
    let world = World::new().await;
    let workspace = format!("/v1/workspaces/{}", world.workspace);
    let attempt = "/v1/attempts/00000000-0000-0000-0000-000000000000";
    let rejected = [
        ("GET", "/v1/jobs/one".to_owned(), StatusCode::BAD_REQUEST),
        ("GET", "/v1/jobs/1%ff".to_owned(), StatusCode::BAD_REQUEST),
        ("GET", "/v1/jobs/4711".to_owned(), StatusCode::NOT_FOUND),
        ("GET", "/v1/nothing".to_owned(), StatusCode::NOT_FOUND),
        ("PATCH", workspace.clone(), StatusCode::METHOD_NOT_ALLOWED),
        ("DELETE", "/healthz".to_owned(), StatusCode::METHOD_NOT_ALLOWED),
        ("GET", format!("{workspace}/explanation?stepType=nothing"), StatusCode::BAD_REQUEST),
        ("GET", format!("{workspace}/explanation?step=1"), StatusCode::BAD_REQUEST),
        ("GET", format!("{attempt}/log?offset=-1"), StatusCode::BAD_REQUEST),
        ("GET", format!("{attempt}/log?ofset=1"), StatusCode::BAD_REQUEST),
        ("POST", format!("{workspace}/variables"), StatusCode::UNSUPPORTED_MEDIA_TYPE),
    ];
    for (method, path, expected) in rejected {
        let response = world.request(method, &path).send().await.unwrap();
        let status = response.status();
        let content_type = response.headers()[header::CONTENT_TYPE].to_str().unwrap().to_owned();
        if expected == StatusCode::METHOD_NOT_ALLOWED {
            assert!(response.headers().contains_key(header::ALLOW), "{method} {path}");
        }
        let problem: Value = response.json().await.unwrap();
        assert_eq!(
            (status, content_type.as_str()),
            (expected, "application/problem+json"),
            "{method} {path}"
        );
        assert_eq!(problem["status"], expected.as_u16(), "{method} {path}: {problem:#}");
        assert!(problem["detail"].is_string() && problem["title"].is_string(), "{problem:#}");
    }
}

#[tokio::test]
async fn path_query_and_token_problems_say_what_is_expected() {
    let world = World::new().await;
    let problem =
        async |path: &str| world.request("GET", path).send().await.unwrap().json::<Value>().await.unwrap();
    let path = problem("/v1/jobs/one").await;
    assert_eq!(path["detail"], "the path has \"one\" where a number is expected");
    assert_eq!(path["problems"][0]["source"], "path");
    let query = problem("/v1/attempts/00000000-0000-0000-0000-000000000000/log?ofset=1").await;
    assert_eq!(
        (&query["problems"][0]["source"], &query["problems"][0]["key"]),
        (&json!("query"), &json!("ofset"))
    );

    let other = reqwest::Client::new().get(format!("{}/v1/organizations", world.base));
    for (request, found) in [
        (other.try_clone().unwrap(), "there is no header `Authorization`"),
        (other.basic_auth("me", Some("nonsense")), "the token in the header `Authorization` is not valid"),
    ] {
        let refused: Value = request.send().await.unwrap().json().await.unwrap();
        let detail = refused["detail"].as_str().unwrap();
        assert!(detail.starts_with(found) && detail.contains("admin-token"), "{detail}");
    }
}

#[tokio::test]
async fn body_problems_are_problem_details() {
    let world = World::new().await;
    let send = async |path: &str, body: String| {
        let request = world.request("POST", path).header(header::CONTENT_TYPE, "application/json");
        let response = request.body(body).send().await.unwrap();
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
        (response.status(), response.json::<Value>().await.unwrap())
    };
    let unknown = json!({ "name": "x", "colour": "red" }).to_string();
    let (status, problem) = send("/v1/organizations", unknown).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(problem["detail"].as_str().unwrap().contains("colour"), "{problem:#}");
    assert_eq!(problem["problems"][0]["key"], "colour", "{problem:#}");
    assert!(problem["problems"][0]["expected"].as_str().unwrap().starts_with("unknown field"), "{problem:#}");
    assert_eq!(send("/v1/organizations", "{".to_owned()).await.0, StatusCode::BAD_REQUEST);
    let large = json!({ "name": "x".repeat(3 * 1024 * 1024) }).to_string();
    assert_eq!(send("/v1/organizations", large).await.0, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn password_of_a_source_is_in_no_answer_and_reaches_the_executor() {
    let mut world = World::new().await;
    let source = "https://me:hunter2@git.example.com/net.git";
    let shown = "https://me:(sensitive)@git.example.com/net.git";
    let path = format!("/v1/organizations/{}/workspaces", world.organization);
    let (status, created) = world.post(&path, json!({ "name": "private", "source": source })).await;
    assert_eq!((status, &created["source"]), (StatusCode::CREATED, &json!(shown)));
    world.workspace = created["id"].as_str().unwrap().to_owned();
    let workspace = format!("/v1/workspaces/{}", world.workspace);
    assert_eq!(world.get(&workspace).await["source"], shown);
    let listed = world.get(&path).await.to_string();
    assert!(listed.contains(shown) && !listed.contains("hunter2"), "{listed}");
    let explanation = world.get(&format!("{workspace}/explanation")).await.to_string();
    assert!(!explanation.contains("hunter2"), "{explanation}");
    let folder = json!({ "name": "other", "source": "file://me:hunter2@host/a" });
    let (status, problem) = world.post(&path, folder).await;
    assert_eq!(
        (status, &problem["problems"][0]["found"]),
        (StatusCode::UNPROCESSABLE_ENTITY, &json!("file://me:(sensitive)@host/a"))
    );
    let long = format!("https://me:hunter2@git.example.com/{}", "a".repeat(2048));
    let (status, problem) = world.post(&path, json!({ "name": "other", "source": long })).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(!problem.to_string().contains("hunter2"), "{problem:#}");

    let job = world.job(&["terraformPlan"]).await;
    assert_eq!(world.payload(&format!("job-{job}-100-1")).await["source"], source);
}
