//! A Kubernetes API server in memory, served to a real client.
//!
//! It keeps Jobs, Secrets, pods and events of one namespace as a real server does: with resource versions,
//! watches from a version, bookmarks, pages, preconditions and foreground deletion. `tests/fidelity.rs`
//! compares it with recorded responses of a real one. There is no controller and no kubelet: the test changes
//! Jobs and pods. Faults are the choice of the test, too: see [`Fault`].
//!
//! No existing crate does this: there are fake clients that keep objects, but none with watches from a
//! version, expired versions and broken streams.

use std::{
    collections::BTreeSet,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use kube::client::Body;
use serde_json::Value;

use self::{request::Resource, store::Store};

mod fault;
mod handle;
mod job_rules;
mod list;
mod pod_lifecycle;
mod pods;
mod receive;
mod request;
mod response;
mod store;
mod tcp;

pub use self::{
    fault::{Fault, Request, ResponseFault},
    pod_lifecycle::PodEnd,
    request::Verb,
    tcp::Listening,
};

type Decide = dyn Fn(&Request) -> Fault + Send + Sync;

/// A Kubernetes API server in memory, with one namespace.
///
/// Clones share their state.
#[derive(Clone)]
pub struct ApiServer(Arc<Shared>);

struct Shared {
    store: Mutex<Store>,
    behavior: Mutex<ServerBehavior>,
}

/// How the server treats requests.
#[derive(Default)]
struct ServerBehavior {
    unavailable: bool,
    token: Option<String>,
    forbidden: BTreeSet<(Verb, String)>,
    faults: Option<Arc<Decide>>,
}

impl fmt::Debug for ApiServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiServer").field("store", &*self.store()).finish_non_exhaustive()
    }
}

impl ApiServer {
    /// Creates an empty server with this namespace.
    #[must_use]
    pub fn new(namespace: &str) -> Self {
        Self(Arc::new(Shared { store: Mutex::new(Store::new(namespace)), behavior: Mutex::default() }))
    }

    /// Returns a client that reaches the server without a network.
    #[must_use]
    pub fn client(&self) -> kube::Client {
        let server = self.clone();
        let service = tower::service_fn(move |request: http::Request<Body>| {
            let server = server.clone();
            async move {
                let (head, body) = request.into_parts();
                let body = body.collect_bytes().await.map_err(|error| error.to_string())?;
                server.receive(&head, &body).await.map_err(str::to_owned)
            }
        });
        kube::Client::new(service, self.store().namespace.clone())
    }

    /// Refuses every connection from now on, and breaks every watch.
    pub fn set_unavailable(&self) {
        self.behavior().unavailable = true;
        self.break_watches();
    }

    /// Undoes [`set_unavailable`](Self::set_unavailable).
    pub fn set_available(&self) {
        self.behavior().unavailable = false;
    }

    /// Restarts the server: watches break, and every earlier version is too old.
    pub fn restart(&self) {
        self.break_watches();
        let mut store = self.store();
        store.version += 1;
        store.compact();
    }

    /// Breaks every watch in the middle of a line.
    pub fn break_watches(&self) {
        self.store().end_watches(false);
    }

    /// Breaks every watch over one kind of objects in the middle of a line.
    ///
    /// # Panics
    /// If the kind is unknown.
    pub fn break_watches_of(&self, plural: &str) {
        self.store().break_watches_of(&known(plural));
    }

    /// Ends every watch as the server does after `timeoutSeconds`.
    pub fn end_watches(&self) {
        self.store().end_watches(true);
    }

    /// Deletes the history, so that a watch from an earlier version gets 410.
    pub fn compact(&self) {
        self.store().compact();
    }

    /// Sends a bookmark to every watch that allows them.
    pub fn bookmark(&self) {
        self.store().bookmark();
    }

    /// Delays every event of every watch.
    pub fn delay_events(&self, delay: Duration) {
        for plural in ["jobs", "secrets", "pods", "events"] {
            self.delay_events_of(plural, delay);
        }
    }

    /// Delays every event of the watches over one kind of objects.
    ///
    /// # Panics
    /// If the kind is unknown.
    pub fn delay_events_of(&self, plural: &str, delay: Duration) {
        self.store().event_delays.insert(known(plural), delay);
    }

    /// Accepts only this bearer token from now on.
    pub fn accept_only_token(&self, token: &str) {
        self.behavior().token = Some(token.to_owned());
    }

    /// Revokes a right: `forbid(Verb::Create, "secrets")`.
    pub fn forbid(&self, verb: Verb, resource: &str) {
        self.behavior().forbidden.insert((verb, resource.to_owned()));
    }

    /// Grants a right.
    pub fn permit(&self, verb: Verb, resource: &str) {
        self.behavior().forbidden.remove(&(verb, resource.to_owned()));
    }

    /// Grants the rights of the documented Role and no others: Jobs.
    pub fn documented_role(&self) {
        let others = ["pods", "events", "secrets"].into_iter();
        for (verb, resource) in others.flat_map(|resource| Verb::ALL.map(|verb| (verb, resource))) {
            self.forbid(verb, resource);
        }
        self.forbid(Verb::DeleteCollection, "jobs");
    }

    /// Grants the rights of the extended role: those of the documented one, and to read pods and events.
    pub fn extended_role(&self) {
        self.documented_role();
        for verb in [Verb::Get, Verb::List, Verb::Watch] {
            self.permit(verb, "pods");
            self.permit(verb, "events");
        }
    }

    /// Injects the fault that `decide` returns into every request from now on.
    pub fn inject_faults(&self, decide: impl Fn(&Request) -> Fault + Send + Sync + 'static) {
        self.behavior().faults = Some(Arc::new(decide));
    }

    /// Injects no more faults.
    pub fn clear_faults(&self) {
        self.behavior().faults = None;
    }

    /// Returns the names of all objects of a kind (`jobs`, `secrets`…), sorted.
    ///
    /// # Panics
    /// If the kind is unknown.
    #[must_use]
    pub fn names(&self, plural: &str) -> Vec<String> {
        self.store().all(&known(plural)).into_keys().collect()
    }

    /// Returns an object.
    ///
    /// # Panics
    /// If the kind is unknown.
    #[must_use]
    pub fn object(&self, plural: &str, name: &str) -> Option<Value> {
        self.store().get(&known(plural), name).map(|object| Value::clone(object))
    }

    /// Stores an object as another client would: a pod, an event, another status.
    ///
    /// # Panics
    /// If the kind is unknown.
    pub fn put(&self, plural: &str, object: Value) {
        self.store().put(&known(plural), object);
    }

    /// Deletes an object as another client would.
    ///
    /// # Panics
    /// If the kind is unknown.
    pub fn remove(&self, plural: &str, name: &str) {
        self.store().remove(&known(plural), name);
    }

    /// Returns how often an object of this name was created, counted by its uids.
    ///
    /// # Panics
    /// If the kind is unknown.
    #[must_use]
    pub fn times_created(&self, plural: &str, name: &str) -> usize {
        self.store().times_created(&known(plural), name)
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        self.0.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn behavior(&self) -> MutexGuard<'_, ServerBehavior> {
        self.0.behavior.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn known(plural: &str) -> Resource {
    Resource::named(plural).expect("the caller names a known kind, as the documentation requires")
}
