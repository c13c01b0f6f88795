//! Watches over pods and events, where the role allows them: they show causes that the Job itself does not.
//!
//! The API server is asked what the role allows when the watches start, and every ten minutes as long as
//! something is missing, so that a rule which is added later needs no restart. Nothing here fails: what
//! cannot be read is only missing from causes.

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

use super::{
    convert_error::convert_watch,
    hub::{Hub, WATCH_SECONDS},
    requests::Requests,
};
use crate::abilities::{self, Abilities};

/// How long it takes until a rule that was added to the role is noticed.
const REVIEW_INTERVAL: Duration = Duration::from_mins(10);

/// How many objects one page of a list has. Pods are large: each contains its payload.
const PAGE_SIZE: u32 = 100;

/// Where pods and events are read, and the hub that gets them.
pub(super) struct Source {
    pub(super) client: Client,
    pub(super) namespace: String,
    pub(super) selector: String,
    pub(super) requests: Requests,
    pub(super) hub: Arc<Hub>,
}

/// Finds out what may be read besides Jobs, logs it, and watches it.
pub(super) async fn watch(source: Source) {
    let Source { client, namespace, selector, requests, hub } = source;
    let mut watches = JoinSet::new();
    let mut known: Option<Abilities> = None;
    loop {
        let able = review_access(&client, &namespace, requests).await;
        let before = known.replace(able);
        hub.optional_watches.send_modify(|watches| watches.abilities = Some(able));
        if able.pods && !before.is_some_and(|before| before.pods) {
            let pods = Api::namespaced(client.clone(), &namespace);
            watches.spawn(watch_pods(pods, selector.clone(), Arc::clone(&hub)));
        }
        if able.events && !before.is_some_and(|before| before.events) {
            watches.spawn(watch_events(Api::namespaced(client.clone(), &namespace), Arc::clone(&hub)));
        }
        if before != Some(able) {
            let report = able.report();
            let report = report.as_deref().unwrap_or("pods and events are readable, Secrets can be created");
            tracing::info!(namespace, "{report}");
        }
        if able.pods && able.events {
            break;
        }
        tokio::time::sleep(REVIEW_INTERVAL).await;
    }
    while watches.join_next().await.is_some() {}
}

/// Reviews what the role allows, until the server responds. A server that does not know reviews allows
/// nothing.
async fn review_access(client: &Client, namespace: &str, requests: Requests) -> Abilities {
    let reviews: Api<SelfSubjectAccessReview> = Api::all(client.clone());
    let params = PostParams::default();
    let mut delays = ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(500))
        .with_max_delay(Duration::from_secs(30))
        .without_max_times()
        .with_jitter()
        .build();
    loop {
        let pending = abilities::access_reviews(namespace);
        let responses = pending.iter().map(|review| requests.bounded(reviews.create(&params, review)));
        match try_join_all(responses).await {
            Ok(responses) => return Abilities::from_reviews(&responses),
            Err(error) if is_final(&error) => {
                tracing::info!(%error, "the API server does not say what the role allows");
                return Abilities::default();
            }
            Err(error) => tracing::debug!(%error, "could not review what the role allows, retrying"),
        }
        tokio::time::sleep(delays.next().unwrap_or(REVIEW_INTERVAL)).await;
    }
}

/// Returns whether an error is the final response, which a retry would not change.
fn is_final(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if matches!(status.code, 400 | 403..=405 | 422))
}

async fn watch_pods(pods: Api<Pod>, selector: String, hub: Arc<Hub>) {
    let config = watcher::Config::default().labels(&selector).timeout(WATCH_SECONDS).page_size(PAGE_SIZE);
    let mut changes = std::pin::pin!(watcher(pods, config).default_backoff());
    let mut listed = BTreeSet::new();
    while let Some(change) = changes.next().await {
        match change {
            Ok(watcher::Event::Init) => listed.clear(),
            Ok(watcher::Event::InitApply(pod)) => {
                listed.extend(pod.metadata.name.clone());
                hub.apply_pod(pod, true);
            }
            Ok(watcher::Event::InitDone) => hub.set_pods(&std::mem::take(&mut listed)),
            Ok(watcher::Event::Apply(pod)) => hub.apply_pod(pod, true),
            Ok(watcher::Event::Delete(pod)) => hub.apply_pod(pod, false),
            Err(error) => {
                log_failure("pods", error);
                hub.optional_watches.send_modify(|watches| watches.has_pods = true);
            }
        }
    }
}

async fn watch_events(events: Api<Event>, hub: Arc<Hub>) {
    let config = watcher::Config::default().timeout(WATCH_SECONDS);
    let mut changes = std::pin::pin!(watcher(events, config).default_backoff());
    while let Some(change) = changes.next().await {
        match change {
            Ok(watcher::Event::InitApply(event) | watcher::Event::Apply(event)) => hub.apply_event(event),
            Ok(watcher::Event::InitDone) => {
                hub.optional_watches.send_modify(|watches| watches.has_events = true);
            }
            // An event that expired has happened all the same.
            Ok(watcher::Event::Init | watcher::Event::Delete(_)) => {}
            Err(error) => {
                log_failure("events", error);
                hub.optional_watches.send_modify(|watches| watches.has_events = true);
            }
        }
    }
}

fn log_failure(what: &str, error: watcher::Error) {
    if let Some(error) = convert_watch("", error) {
        tracing::debug!(error = %error.source, "the watch over {what} failed, retrying");
    }
}
