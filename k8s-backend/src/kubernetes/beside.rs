//! Pods and events, where the role allows reading them: what causes are made of that the Job itself does not tell.
//!
//! The API server is asked what the role allows when the watches begin, and every ten minutes as long as something is
//! missing, so that a rule which is added later needs no restart. Nothing here ever fails: whatever cannot be read is missing
//! from causes, and no more.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use backon::{BackoffBuilder as _, ExponentialBuilder};
use futures::{StreamExt as _, future::try_join_all};
use k8s_openapi::api::{
    authorization::v1::SelfSubjectAccessReview,
    core::v1::{Event, Pod},
};
use kube::{
    Api, Client,
    api::PostParams,
    runtime::{
        WatchStreamExt as _,
        watcher::{self, watcher},
    },
};
use tokio::task::JoinSet;

use super::{convert_error::convert_watch, hub::Hub, requests::Requests, shared::WATCH_SECONDS};
use crate::abilities::{self, Abilities};

/// How long it takes until a rule that was added to the role is noticed.
const ASK_AGAIN: Duration = Duration::from_mins(10);

/// How many objects come in one page of a list. Pods are large: each has the payload in it.
const PAGE: u32 = 100;

/// Where pods and events are read, and who gets them.
pub(super) struct Source {
    pub(super) client: Client,
    pub(super) namespace: String,
    pub(super) selector: String,
    pub(super) requests: Requests,
    pub(super) hub: Arc<Hub>,
}

/// Finds out what may be read besides Jobs, says so in the log, and reads it.
pub(super) async fn watch(source: Source) {
    let Source { client, namespace, selector, requests, hub } = source;
    let mut watches = JoinSet::new();
    let mut known: Option<Abilities> = None;
    loop {
        let able = ask(&client, &namespace, requests).await;
        let before = known.replace(able);
        hub.sight.send_modify(|sight| sight.abilities = Some(able));
        if able.pods && !before.is_some_and(|before| before.pods) {
            let pods = Api::namespaced(client.clone(), &namespace);
            watches.spawn(watch_pods(pods, selector.clone(), Arc::clone(&hub)));
        }
        if able.events && !before.is_some_and(|before| before.events) {
            watches.spawn(watch_events(Api::namespaced(client.clone(), &namespace), Arc::clone(&hub)));
        }
        if before != Some(able) {
            let report = able.report();
            let report = report.as_deref().unwrap_or("pods and events are readable, Secrets can be made");
            tracing::info!(namespace, "{report}");
        }
        if able.pods && able.events {
            break;
        }
        tokio::time::sleep(ASK_AGAIN).await;
    }
    while watches.join_next().await.is_some() {}
}

/// Asks what the role allows, until there is an answer. A server that does not know the question allows nothing.
async fn ask(client: &Client, namespace: &str, requests: Requests) -> Abilities {
    let reviews: Api<SelfSubjectAccessReview> = Api::all(client.clone());
    let params = PostParams::default();
    let mut pauses = ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(500))
        .with_max_delay(Duration::from_secs(30))
        .without_max_times()
        .with_jitter()
        .build();
    loop {
        let questions = abilities::questions(namespace);
        let answers = questions.iter().map(|question| requests.bounded(reviews.create(&params, question)));
        match try_join_all(answers).await {
            Ok(answers) => return Abilities::of(&answers),
            Err(error) if is_answer(&error) => {
                tracing::info!(%error, "the API server does not say what our role allows");
                return Abilities::default();
            }
            Err(error) => tracing::debug!(%error, "could not ask what our role allows, trying again"),
        }
        tokio::time::sleep(pauses.next().unwrap_or(ASK_AGAIN)).await;
    }
}

/// Tells whether asking again soon would change nothing.
fn is_answer(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if matches!(status.code, 400 | 403..=405 | 422))
}

async fn watch_pods(pods: Api<Pod>, selector: String, hub: Arc<Hub>) {
    let ours = watcher::Config::default().labels(&selector).timeout(WATCH_SECONDS).page_size(PAGE);
    let mut changes = std::pin::pin!(watcher(pods, ours).default_backoff());
    let mut listed = BTreeSet::new();
    while let Some(change) = changes.next().await {
        match change {
            Ok(watcher::Event::Init) => listed.clear(),
            Ok(watcher::Event::InitApply(pod)) => {
                listed.extend(pod.metadata.name.clone());
                hub.take_pod(pod, true);
            }
            Ok(watcher::Event::InitDone) => hub.pods_are(&std::mem::take(&mut listed)),
            Ok(watcher::Event::Apply(pod)) => hub.take_pod(pod, true),
            Ok(watcher::Event::Delete(pod)) => hub.take_pod(pod, false),
            Err(error) => {
                note("pods", error);
                hub.sight.send_modify(|sight| sight.has_pods = true);
            }
        }
    }
}

async fn watch_events(events: Api<Event>, hub: Arc<Hub>) {
    let all = watcher::Config::default().timeout(WATCH_SECONDS);
    let mut changes = std::pin::pin!(watcher(events, all).default_backoff());
    while let Some(change) = changes.next().await {
        match change {
            Ok(watcher::Event::InitApply(event) | watcher::Event::Apply(event)) => hub.take_event(event),
            Ok(watcher::Event::InitDone) => hub.sight.send_modify(|sight| sight.has_events = true),
            // An event that is forgotten has happened all the same.
            Ok(watcher::Event::Init | watcher::Event::Delete(_)) => {}
            Err(error) => {
                note("events", error);
                hub.sight.send_modify(|sight| sight.has_events = true);
            }
        }
    }
}

fn note(what: &str, error: watcher::Error) {
    if let Some(error) = convert_watch("", error) {
        tracing::debug!(error = %error.source, "the watch of {what} failed and will be tried again");
    }
}
