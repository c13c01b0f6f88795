//! Other states that a configuration reads through terraform's `http` backend, with credentials of their own.

use std::sync::{Arc, Mutex};

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, Method, header::AUTHORIZATION},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use job_spec::StepType;
use tokio::net::TcpListener;

use crate::support::{Bench, have};

const STATE: &str = r#"{"version":4,"terraform_version":"1.5.0","serial":1,"lineage":"other",
    "outputs":{"zone":{"value":"eu-1","type":"string"}},"resources":[]}"#;

/// Method and `Authorization` of each request.
type Requests = Arc<Mutex<Vec<(Method, Option<String>)>>>;

/// Starts a server of another state, and returns its address.
async fn other_state() -> (String, Requests) {
    async fn answer(State(requests): State<Requests>, method: Method, headers: HeaderMap) -> &'static str {
        let authorization = headers.get(AUTHORIZATION).map(|value| value.to_str().unwrap().to_owned());
        requests.lock().unwrap().push((method, authorization));
        STATE
    }
    let requests = Requests::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/other", listener.local_addr().unwrap());
    let app = Router::new().fallback(answer).with_state(Arc::clone(&requests));
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    (address, requests)
}

#[tokio::test]
async fn other_states_get_the_credentials_of_the_user_and_never_ours() {
    if !have("terraform") {
        return;
    }
    let own = format!("Basic {}", STANDARD.encode("reader:their password"));
    for credentials in [Some(own), None] {
        let (address, requests) = other_state().await;
        let text = format!(
            "data \"terraform_remote_state\" \"other\" {{\n  backend = \"http\"\n  config = {{\n    \
             address = \"{address}\"\n  }}\n}}\n\
             output \"zone\" {{\n  value = data.terraform_remote_state.other.outputs.zone\n}}\n"
        );
        let mut bench = Bench::new(&text).await;
        if credentials.is_some() {
            bench.payload.environment_variables.insert("TF_HTTP_USERNAME".into(), "reader".into());
            bench.payload.environment_variables.insert("TF_HTTP_PASSWORD".into(), "their password".into());
        }
        bench.server.with(|memory| memory.plan_expected = true);
        for step in [StepType::TerraformPlan, StepType::TerraformApply] {
            let exit = bench.run(step).await;
            assert_eq!(exit.code, Some(0), "{exit:#?}");
        }
        let zone = bench.server.with(|memory| memory.state_json())["outputs"]["zone"]["value"].take();
        assert_eq!(zone, "eu-1");
        let requests = requests.lock().unwrap().clone();
        assert!(!requests.is_empty());
        for (method, authorization) in requests {
            assert_eq!((method, authorization), (Method::GET, credentials.clone()));
        }
    }
}
