//! The scenarios that need no `kubectl`, played at the API server in memory: what the player itself does is right.

use std::io::Write as _;

use futures::{StreamExt as _, future, stream};
use k8s_backend::testing::{ApiServer, PodEnd, Verb};
use serde_json::json;

use crate::{
    Arguments, connect,
    others::Others,
    scenarios::ALL,
    stage::{Rights, Stage},
};

/// Which scenarios, and what the cluster makes of each.
const PLAYED: [(&str, PodEnd, &str); 11] = [
    ("success", PodEnd::Succeeds, "completed"),
    ("exit-code", PodEnd::FailsByPolicy(7), "exit code 7"),
    ("own-exit-code", PodEnd::FailsByPolicy(12), "exit code 12"),
    ("no-program", PodEnd::FailsByPolicy(128), "exit code 128"),
    ("out-of-memory", PodEnd::FailsByPolicy(137), "exit code 137 (killed)"),
    ("disk-full", PodEnd::FailsByPolicy(137), "exit code 137 (killed)"),
    ("init-container", PodEnd::Fails, "failed with an exit code that is not visible"),
    ("image-unreachable", PodEnd::OverstaysDeadline, "deadline exceeded"),
    ("unschedulable", PodEnd::OverstaysDeadline, "deadline exceeded"),
    ("conflict", PodEnd::Succeeds, "conflict; the first one completed"),
    ("cancel-after-end", PodEnd::Succeeds, "completed"),
];

const NAMESPACE: &str = "e2e";

/// A stage at an address, reached by way of a kubeconfig as on a cluster.
async fn stage(url: &str) -> anyhow::Result<Stage> {
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
    let arguments = Arguments {
        kubeconfig: file.path().to_owned(),
        context: "nobody".to_owned(),
        namespace: NAMESPACE.to_owned(),
        image: "localhost/shell:1".to_owned(),
        role: Rights::Seed,
        parallel: 3,
        only: None,
    };
    let others = Others::new(&arguments.context, NAMESPACE);
    Ok(Stage::new(connect(&arguments).await?, others, NAMESPACE, &arguments.image, Rights::Seed))
}

/// Does the work of the Job controller and the kubelet: every Job ends as it is told here.
async fn act(server: &ApiServer, ends: &[(String, PodEnd)]) {
    let mut done: Vec<String> = Vec::new();
    loop {
        for name in server.names("jobs") {
            if !done.contains(&name)
                && let Some((_, end)) = ends.iter().find(|(of, _)| *of == name)
            {
                server.take_up(&name);
                server.end_pod(&name, end);
                done.push(name);
            }
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn scenarios_pass_where_the_cluster_answers_as_recorded_and_fail_where_it_does_not() {
    let server = ApiServer::new(NAMESPACE);
    server.accept_only_token("token-of-the-account");
    for (verb, resource) in
        [Verb::Get, Verb::List, Verb::Watch].into_iter().flat_map(|verb| [(verb, "pods"), (verb, "events")])
    {
        server.forbid(verb, resource);
    }
    let listening = server.listen().await.unwrap();
    let stage = stage(&listening.url()).await.unwrap();
    let scenario = |name: &str| ALL.iter().zip(0..).find(|(it, _)| it.name == name).unwrap();
    let mut ends: Vec<_> = PLAYED
        .iter()
        .map(|(name, end, _)| (stage.for_scenario(scenario(name).1).name(), end.clone()))
        .collect();
    // One Job more, which ends otherwise than its scenario wants.
    let (wrong, id) = (scenario("exit-code").0, 99);
    ends.push((stage.for_scenario(id).name(), PodEnd::FailsByPolicy(8)));
    let played = stream::iter(&PLAYED)
        .map(|(name, _, expected)| {
            let (scenario, id) = scenario(name);
            let play = (scenario.play)(stage.for_scenario(id));
            async move { (*name, *expected, play.await) }
        })
        .buffer_unordered(3)
        .collect::<Vec<_>>();
    let all = future::join(played, (wrong.play)(stage.for_scenario(id)));
    let (played, wrong) = tokio::select! {
        all = all => all,
        () = act(&server, &ends) => unreachable!("it acts for ever"),
    };
    assert_eq!(played.len(), PLAYED.len());
    for (name, expected, result) in played {
        assert_eq!(result.unwrap_or_else(|error| format!("{error:#}")), expected, "{name}");
    }
    let wrong = wrong.unwrap_err().to_string();
    assert_eq!(wrong, "it ended as \"exit code 8\", expected to read \"exit code 7\"");
}
