//! A Kubernetes API server in memory, served to a real client.
//!
//! It keeps Jobs, Secrets, pods and events of one namespace as a real server keeps them: with resource versions, watches
//! from a version, bookmarks, pages, preconditions and foreground deletion. That it agrees with a real one is proved
//! against recorded answers (`tests/fidelity.rs`). No controller and no kubelet live here: the test moves Jobs and pods on. What
//! goes wrong is the test's choice too: see [`Trouble`].
//!
//! A crate of that kind was looked for and not found: there are fake clients that keep objects, but none with watches
//! from a version, expired versions and streams that break.

use std::{
    collections::BTreeSet,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use kube::client::Body;
use serde_json::Value;

use self::{request::Resource, store::Store};

mod answer;
mod handle;
mod job_rules;
mod list;
mod pods;
mod receive;
mod request;
mod store;
mod story;
mod tcp;
mod trouble;

pub use self::{
    request::Verb,
    story::PodEnd,
    tcp::Listening,
    trouble::{Request, Seen, Trouble},
};

type Decide = dyn Fn(&Request) -> Trouble + Send + Sync;

/// A Kubernetes API server in memory, with one namespace.
///
/// Clones share everything, so that a test keeps a handle of the server that it gives away.
#[derive(Clone)]
pub struct ApiServer(Arc<Shared>);

struct Shared {
    store: Mutex<Store>,
    manner: Mutex<Manner>,
}

/// How the server treats requests.
#[derive(Default)]
struct Manner {
    away: bool,
    token: Option<String>,
    forbidden: BTreeSet<(Verb, String)>,
    trouble: Option<Arc<Decide>>,
}

impl fmt::Debug for ApiServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiServer").field("store", &*self.store()).finish_non_exhaustive()
    }
}

impl ApiServer {
    /// Makes an empty server with this namespace.
    #[must_use]
    pub fn new(namespace: &str) -> Self {
        Self(Arc::new(Shared { store: Mutex::new(Store::new(namespace)), manner: Mutex::default() }))
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

    /// Lets the server refuse or break every connection, and cuts every watch.
    pub fn go_away(&self) {
        self.manner().away = true;
        self.cut_watches();
    }

    /// Undoes [`go_away`](Self::go_away).
    pub fn come_back(&self) {
        self.manner().away = false;
    }

    /// Stops and starts the server: watches break, and every version from before is too old afterwards.
    pub fn restart(&self) {
        self.cut_watches();
        let mut store = self.store();
        store.version += 1;
        store.compact();
    }

    /// Breaks every watch in the middle.
    pub fn cut_watches(&self) {
        self.store().end_watches(false);
    }

    /// Breaks every watch over one kind of objects in the middle.
    ///
    /// # Panics
    /// If the double does not know that kind.
    pub fn cut_watches_of(&self, plural: &str) {
        self.store().cut_watches_of(&known(plural));
    }

    /// Ends every watch as the server does after `timeoutSeconds`.
    pub fn end_watches(&self) {
        self.store().end_watches(true);
    }

    /// Forgets history, so that whoever asks for changes since an earlier version gets 410.
    pub fn compact(&self) {
        self.store().compact();
    }

    /// Sends a bookmark to every watch that wants them.
    pub fn bookmark(&self) {
        self.store().bookmark();
    }

    /// Makes every event arrive this much later than what it tells of.
    pub fn delay_events(&self, late: Duration) {
        for plural in ["jobs", "secrets", "pods", "events"] {
            self.delay_events_of(plural, late);
        }
    }

    /// Makes the events of a kind of objects arrive this much later than what they tell of.
    ///
    /// # Panics
    /// If the double does not know that kind.
    pub fn delay_events_of(&self, plural: &str, late: Duration) {
        self.store().events_late.insert(known(plural), late);
    }

    /// Accepts only this bearer token from now on.
    pub fn accept_only_token(&self, token: &str) {
        self.manner().token = Some(token.to_owned());
    }

    /// Takes a right away: `forbid(Verb::Create, "secrets")`.
    pub fn forbid(&self, verb: Verb, resource: &str) {
        self.manner().forbidden.insert((verb, resource.to_owned()));
    }

    /// Gives a right back.
    pub fn permit(&self, verb: Verb, resource: &str) {
        self.manner().forbidden.remove(&(verb, resource.to_owned()));
    }

    /// Gives the rights of the documented Role and no others: Jobs.
    pub fn documented_role(&self) {
        let others = ["pods", "events", "secrets"].into_iter();
        for (verb, resource) in others.flat_map(|resource| Verb::ALL.map(|verb| (verb, resource))) {
            self.forbid(verb, resource);
        }
        self.forbid(Verb::DeleteCollection, "jobs");
    }

    /// Gives the rights of the extended role: those of the documented one, and to read pods and events.
    pub fn extended_role(&self) {
        self.documented_role();
        for verb in [Verb::Get, Verb::List, Verb::Watch] {
            self.permit(verb, "pods");
            self.permit(verb, "events");
        }
    }

    /// Asks `decide` about every request from now on.
    pub fn trouble(&self, decide: impl Fn(&Request) -> Trouble + Send + Sync + 'static) {
        self.manner().trouble = Some(Arc::new(decide));
    }

    /// Ends all trouble.
    pub fn no_trouble(&self) {
        self.manner().trouble = None;
    }

    /// Returns the names of all objects of a kind (`jobs`, `secrets`…), sorted.
    ///
    /// # Panics
    /// If the double does not know that kind.
    #[must_use]
    pub fn names(&self, plural: &str) -> Vec<String> {
        self.store().all(&known(plural)).into_keys().collect()
    }

    /// Returns an object.
    ///
    /// # Panics
    /// If the double does not know that kind.
    #[must_use]
    pub fn object(&self, plural: &str, name: &str) -> Option<Value> {
        self.store().get(&known(plural), name).map(|object| Value::clone(object))
    }

    /// Stores an object as somebody else would: a pod, an event, another status.
    ///
    /// # Panics
    /// If the double does not know that kind.
    pub fn put(&self, plural: &str, object: Value) {
        self.store().put(&known(plural), object);
    }

    /// Removes an object as somebody else would.
    ///
    /// # Panics
    /// If the double does not know that kind.
    pub fn remove(&self, plural: &str, name: &str) {
        self.store().remove(&known(plural), name);
    }

    /// Tells how often an object of this name was made, counted by its identities.
    ///
    /// # Panics
    /// If the double does not know that kind.
    #[must_use]
    pub fn times_made(&self, plural: &str, name: &str) -> usize {
        self.store().times_made(&known(plural), name)
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        self.0.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn manner(&self) -> MutexGuard<'_, Manner> {
        self.0.manner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn known(plural: &str) -> Resource {
    Resource::named(plural).expect("the caller names a kind that the double knows, as its documentation asks")
}
