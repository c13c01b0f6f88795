//! The objects with their versions, and the watches over them.

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    sync::Arc,
    time::Duration,
};

use futures::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use serde_json::{Value, json};
use tokio::{sync::mpsc, time::Instant};

use super::{
    request::{ParsedRequest, Resource},
    response::{Bytes, status_object},
};

/// The objects of one kind, by name.
pub(super) type Objects = BTreeMap<String, Arc<Value>>;

/// The state of the server.
#[derive(Debug)]
pub(super) struct Store {
    pub(super) namespace: String,
    pub(super) version: u64,
    /// The history starts after this version.
    pub(super) compacted: u64,
    /// How long events take to the client, by kind of object.
    pub(super) event_delays: BTreeMap<Resource, Duration>,
    /// The objects of a list at the version of its first page, for later pages.
    pub(super) pages: BTreeMap<u64, BTreeMap<Resource, Objects>>,
    objects: BTreeMap<Resource, Objects>,
    history: VecDeque<Change>,
    watchers: Vec<Watcher>,
    created: Vec<(Resource, String)>,
}

#[derive(Debug)]
struct Change {
    version: u64,
    resource: Resource,
    before: Option<Arc<Value>>,
    after: Option<Arc<Value>>,
}

#[derive(Debug)]
struct Watcher {
    request: ParsedRequest,
    pieces: mpsc::UnboundedSender<Piece>,
}

/// Bytes of a response or the error of a broken connection, and when they arrive.
type Piece = (Instant, io::Result<Vec<u8>>);

impl Store {
    pub(super) fn new(namespace: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            version: 1,
            compacted: 0,
            event_delays: BTreeMap::new(),
            pages: BTreeMap::new(),
            objects: BTreeMap::new(),
            history: VecDeque::new(),
            watchers: Vec::new(),
            created: Vec::new(),
        }
    }

    pub(super) fn all(&self, resource: &Resource) -> Objects {
        self.objects.get(resource).cloned().unwrap_or_default()
    }

    pub(super) fn get(&self, resource: &Resource, name: &str) -> Option<&Arc<Value>> {
        self.objects.get(resource)?.get(name)
    }

    /// Returns how often an object of this name was created.
    pub(super) fn times_created(&self, resource: &Resource, name: &str) -> usize {
        self.created.iter().filter(|(kind, created)| kind == resource && created == name).count()
    }

    /// Returns a new uid.
    pub(super) fn new_uid(&self) -> String {
        format!("00000000-0000-4000-8000-{:012}", self.version + 1)
    }

    /// Stores an object and notifies the watches.
    pub(super) fn put(&mut self, resource: &Resource, mut object: Value) -> Arc<Value> {
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let object = Arc::new(object);
        let before =
            self.objects.entry(resource.clone()).or_default().insert(name.clone(), Arc::clone(&object));
        if before.is_none() {
            self.created.push((resource.clone(), name));
        }
        self.notify(resource, before, Some(Arc::clone(&object)));
        object
    }

    /// Deletes an object, and what it owns besides pods; the test deletes pods.
    pub(super) fn remove(&mut self, resource: &Resource, name: &str) -> Option<Arc<Value>> {
        let before = self.objects.get_mut(resource)?.remove(name)?;
        self.version += 1;
        self.notify(resource, Some(Arc::clone(&before)), None);
        if let Some(uid) = before["metadata"]["uid"].as_str() {
            self.collect_owned_by(uid);
        }
        Some(before)
    }

    fn collect_owned_by(&mut self, uid: &str) {
        let is_owned = |object: &Value| {
            let owners = object["metadata"]["ownerReferences"].as_array();
            owners.is_some_and(|owners| owners.iter().any(|owner| owner["uid"] == uid))
        };
        let owned: Vec<_> = self
            .objects
            .iter()
            .filter(|(resource, _)| resource.plural != "pods")
            .flat_map(|(resource, objects)| {
                objects.iter().map(move |(name, object)| (resource, name, object))
            })
            .filter(|(_, _, object)| is_owned(object))
            .map(|(resource, name, _)| (resource.clone(), name.clone()))
            .collect();
        for (resource, name) in owned {
            self.remove(&resource, &name);
        }
    }

    fn notify(&mut self, resource: &Resource, before: Option<Arc<Value>>, after: Option<Arc<Value>>) {
        let change = Change { version: self.version, resource: resource.clone(), before, after };
        let arrives = Instant::now() + self.event_delays.get(resource).copied().unwrap_or_default();
        self.watchers.retain(|watcher| match change.line_for(&watcher.request) {
            Some(line) => watcher.pieces.send((arrives, Ok(line))).is_ok(),
            None => !watcher.pieces.is_closed(),
        });
        self.history.push_back(change);
    }

    /// Opens a watch that first reports `initial` objects, then all changes after a version.
    pub(super) fn watch(
        &mut self,
        request: ParsedRequest,
        after: u64,
        initial: Option<Objects>,
    ) -> BoxStream<'static, io::Result<Bytes>> {
        let (pieces, received) = mpsc::unbounded_channel();
        let now = Instant::now();
        let bookmarks = request.option("allowWatchBookmarks").is_some_and(|value| value == "true");
        let mut first: Vec<_> = Vec::new();
        if let Some(objects) = initial {
            first.extend(objects.values().filter(|it| request.selects(it)).map(|it| line("ADDED", it)));
            if bookmarks {
                first.push(self.bookmark_line(&request.resource, true));
            }
        }
        let since = self.history.iter().filter(|change| change.version > after);
        first.extend(since.filter_map(|change| change.line_for(&request)));
        for line in first {
            // The receiver is held below.
            let _ = pieces.send((now, Ok(line)));
        }
        let seconds = request.option("timeoutSeconds").and_then(|text| text.parse().ok());
        self.watchers.push(Watcher { request, pieces });
        delayed(received, seconds)
    }

    /// Sends a bookmark to all watches that allow them.
    pub(super) fn bookmark(&mut self) {
        let now = Instant::now();
        for watcher in &self.watchers {
            if watcher.request.option("allowWatchBookmarks").is_some_and(|value| value == "true") {
                let line = self.bookmark_line(&watcher.request.resource, false);
                let _ = watcher.pieces.send((now, Ok(line)));
            }
        }
    }

    fn bookmark_line(&self, resource: &Resource, ends_initial: bool) -> Vec<u8> {
        let mut metadata = json!({"resourceVersion": self.version.to_string()});
        if ends_initial {
            metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        let object =
            json!({"kind": resource.kind(), "apiVersion": resource.api_version(), "metadata": metadata});
        line("BOOKMARK", &object)
    }

    /// Ends every watch: regularly, or in the middle of a line.
    pub(super) fn end_watches(&mut self, regularly: bool) {
        for watcher in self.watchers.drain(..) {
            if !regularly {
                watcher.reset();
            }
        }
    }

    /// Breaks the watches of one kind of objects.
    pub(super) fn break_watches_of(&mut self, resource: &Resource) {
        for watcher in self.watchers.extract_if(.., |watcher| watcher.request.resource == *resource) {
            watcher.reset();
        }
    }

    /// Deletes the history: a watch from an earlier version must list again.
    pub(super) fn compact(&mut self) {
        self.compacted = self.version;
        self.history.clear();
        self.pages.clear();
    }

    /// Returns the line of a watch whose version is too old; fixture `expired-410`.
    pub(super) fn expired_line(&self, version: u64) -> Vec<u8> {
        let message = format!("too old resource version: {version} ({})", self.compacted);
        line("ERROR", &status_object(410, "Expired", &message, Value::Null))
    }
}

impl Watcher {
    fn reset(self) {
        let reset = io::Error::new(io::ErrorKind::ConnectionReset, "connection reset by peer");
        // The client may have closed the watch.
        let _ = self.pieces.send((Instant::now(), Err(reset)));
    }
}

impl Change {
    /// Returns the line for a watch. An object that leaves its selector is reported as deleted, in its
    /// previous state (fixture `watch-variants`).
    fn line_for(&self, request: &ParsedRequest) -> Option<Vec<u8>> {
        if self.resource != request.resource {
            return None;
        }
        let before = self.before.as_ref().filter(|object| request.selects(object));
        let after = self.after.as_ref().filter(|object| request.selects(object));
        match (before, after) {
            (None, Some(object)) => Some(line("ADDED", object)),
            (Some(_), Some(object)) => Some(line("MODIFIED", object)),
            (Some(object), None) => {
                let mut object = Value::clone(object);
                object["metadata"]["resourceVersion"] = json!(self.version.to_string());
                Some(line("DELETED", &object))
            }
            (None, None) => None,
        }
    }
}

pub(super) fn line(kind: &str, object: &Value) -> Vec<u8> {
    format!("{}\n", json!({"type": kind, "object": object})).into_bytes()
}

/// Yields the pieces when they arrive, until the watch ends.
fn delayed(
    received: mpsc::UnboundedReceiver<Piece>,
    seconds: Option<u64>,
) -> BoxStream<'static, io::Result<Bytes>> {
    let pieces = stream::unfold(received, |mut received| async move {
        let (arrives, piece) = received.recv().await?;
        if arrives > Instant::now() {
            tokio::time::sleep_until(arrives).await;
        }
        Some((piece.map(Bytes::from), received))
    });
    match seconds {
        Some(seconds) => pieces.take_until(tokio::time::sleep(Duration::from_secs(seconds))).boxed(),
        None => pieces.boxed(),
    }
}
