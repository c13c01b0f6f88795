//! Runs the scenarios that need no `kubectl` against the API server in memory.

use std::io::Write as _;

use futures::{StreamExt as _, future, stream};
use k8s_backend::testing::{ApiServer, PodEnd, Verb};
use serde_json::json;

use super::{SCENARIOS, connect, context::ScenarioContext};
use crate::{kubectl::Kubectl, role::Role};

/// Scenarios, how their pods end, and the expected observation.
const CASES: [(&str, PodEnd, &str); 11] = [
    ("success", PodEnd::Succeeds, "completed"),
    ("exit-code", PodEnd::FailsByPolicy(7), "exit code 7"),
    ("own-exit-code", PodEnd::FailsByPolicy(12), "exit code 12"),
    ("no-program", PodEnd::FailsByPolicy(128), "exit code 128"),
    ("out-of-memory", PodEnd::FailsByPolicy(137), "exit code 137 (killed)"),
    ("disk-full", PodEnd::FailsByPolicy(137), "exit code 137 (killed)"),
    ("init-container", PodEnd::Fails, "failed, exit code not readable"),
    ("image-unreachable", PodEnd::ExceedsDeadline, "deadline exceeded"),
    ("unschedulable", PodEnd::ExceedsDeadline, "deadline exceeded"),
    ("conflict", PodEnd::Succeeds, "conflict; the first one completed"),
    ("cancel-after-end", PodEnd::Succeeds, "completed"),
];

const NAMESPACE: &str = "e2e";

/// Connects to an API server by a kubeconfig, as on a cluster.
async fn context(url: &str) -> anyhow::Result<ScenarioContext> {
    let mut file = tempfile::NamedTempFile::new()?;
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{ "name": "cluster", "cluster": { "server": url } }],
        "users": [{ "name": "account", "user": { "token": "token-of-the-account" } }],
        "contexts": [{ "name": "e2e", "context": { "cluster": "cluster", "user": "account" } }],
        "current-context": "e2e",
    });
    file.write_all(config.to_string().as_bytes())?;
    let operator = Kubectl { context: "none".to_owned(), namespace: NAMESPACE.to_owned() };
    let backend = connect(file.path(), NAMESPACE).await?;
    Ok(ScenarioContext::new(backend, &operator, "localhost/shell:1", Role::Seed))
}

/// Stands for the Job controller and the kubelet.
async fn end_pods(server: &ApiServer, ends: &[(String, PodEnd)]) {
    let mut done: Vec<String> = Vec::new();
    loop {
        for name in server.names("jobs") {
            if !done.contains(&name)
                && let Some((_, end)) = ends.iter().find(|(of, _)| *of == name)
            {
                server.create_pod(&name);
                server.end_pod(&name, end);
                done.push(name);
            }
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn scenarios_pass_with_the_expected_end_and_fail_with_another() {
    let server = ApiServer::new(NAMESPACE);
    server.accept_only_token("token-of-the-account");
    for (verb, resource) in
        [Verb::Get, Verb::List, Verb::Watch].into_iter().flat_map(|verb| [(verb, "pods"), (verb, "events")])
    {
        server.forbid(verb, resource);
    }
    let listening = server.listen().await.unwrap();
    let context = context(&listening.url()).await.unwrap();
    let scenario = |name: &str| SCENARIOS.iter().zip(0..).find(|(it, _)| it.name == name).unwrap();
    let mut ends: Vec<_> = CASES
        .iter()
        .map(|(name, end, _)| (context.for_scenario(scenario(name).1).name(), end.clone()))
        .collect();
    // One more Job, which does not end as its scenario expects.
    let (wrong, id) = (scenario("exit-code").0, 99);
    ends.push((context.for_scenario(id).name(), PodEnd::FailsByPolicy(8)));
    let ran = stream::iter(&CASES)
        .map(|(name, _, expected)| {
            let (scenario, id) = scenario(name);
            let run = (scenario.run)(context.for_scenario(id));
            async move { (*name, *expected, run.await) }
        })
        .buffer_unordered(3)
        .collect::<Vec<_>>();
    let all = future::join(ran, (wrong.run)(context.for_scenario(id)));
    let (ran, wrong) = tokio::select! {
        all = all => all,
        () = end_pods(&server, &ends) => unreachable!("it does not end"),
    };
    assert_eq!(ran.len(), CASES.len());
    for (name, expected, result) in ran {
        assert_eq!(result.unwrap_or_else(|error| format!("{error:#}")), expected, "{name}");
    }
    let wrong = wrong.unwrap_err().to_string();
    assert_eq!(wrong, "it ended as \"exit code 8\", expected \"exit code 7\"");
}
