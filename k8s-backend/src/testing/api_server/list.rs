//! Lists, complete and in pages; fixtures `list-paging` and `expired-410`.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{
    request::ParsedRequest,
    response::{self, ServerResponse, status, status_object},
    store::{Objects, Store},
};

/// Where the next page starts.
struct ContinueToken {
    /// The version of the first page; `None` continues with the current objects.
    version: Option<u64>,
    after: String,
}

impl ContinueToken {
    fn write(&self) -> String {
        self.version.map_or_else(|| format!("now.{}", self.after), |it| format!("{it}.{}", self.after))
    }

    fn read(token: &str) -> Option<Self> {
        let (version, after) = token.split_once('.')?;
        let version = if version == "now" { None } else { Some(version.parse().ok()?) };
        Some(Self { version, after: after.to_owned() })
    }
}

/// Handles a list.
pub(super) fn list(store: &mut Store, request: &ParsedRequest) -> ServerResponse {
    let version = request.option("resourceVersion");
    let token = match request.option("continue") {
        None => None,
        Some(_) if version.is_some_and(|version| version != "0") => {
            let message = "specifying resource version is not allowed when using continue";
            return status(400, "BadRequest", message, Value::Null);
        }
        Some(token) => match ContinueToken::read(token) {
            Some(token) => Some(token),
            None => {
                return status(
                    400,
                    "BadRequest",
                    "invalid continue token: continue key is not valid",
                    Value::Null,
                );
            }
        },
    };
    if let Some(refusal) = refuse_version(store, request) {
        return refusal;
    }
    if request.namespace != store.namespace {
        return page(store.version, request, &Objects::new(), None);
    }
    let (first_version, objects) = match &token {
        Some(ContinueToken { version: Some(version), after }) => match store.pages.get(version) {
            Some(seen) => (*version, seen.get(&request.resource).cloned().unwrap_or_default()),
            None => return expired(after),
        },
        _ => (store.version, store.all(&request.resource)),
    };
    let response = page(first_version, request, &objects, token.as_ref());
    if limit(request).is_some() {
        store.pages.entry(first_version).or_default().entry(request.resource.clone()).or_insert(objects);
    }
    response
}

/// Refuses a version that was compacted or does not exist yet.
fn refuse_version(store: &Store, request: &ParsedRequest) -> Option<ServerResponse> {
    let version: u64 = request.option("resourceVersion")?.parse().ok()?;
    if request.option("resourceVersionMatch") == Some("Exact") && version <= store.compacted {
        let message = "The resourceVersion for the provided list is too old.";
        return Some(status(410, "Expired", message, Value::Null));
    }
    (version > store.version).then(|| too_large(version, store.version))
}

/// Refuses a version that does not exist yet; fixture `resource-version-in-the-future`.
fn too_large(version: u64, current: u64) -> ServerResponse {
    let message = format!("Timeout: Too large resource version: {version}, current: {current}");
    let causes = json!([{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]);
    let mut response = status(504, "Timeout", &message, json!({"causes": causes, "retryAfterSeconds": 1}));
    response.headers_mut().insert("retry-after", http::HeaderValue::from_static("1"));
    response
}

fn expired(after: &str) -> ServerResponse {
    let message = "The provided continue parameter is too old to display a consistent list result. You can \
        start a new list without the continue parameter, or use the continue token in this response to \
        retrieve the remainder of the results. Continuing with the provided token results in an inconsistent \
        list - objects that were created, modified, or deleted between the time the first chunk was returned \
        and now may show up in the list.";
    let mut body = status_object(410, "Expired", message, Value::Null);
    let next = ContinueToken { version: None, after: after.to_owned() };
    body["metadata"]["continue"] = json!(next.write());
    response::object(410, &body)
}

/// Returns the limit of a page; a value below 1 is none, and lists from the cache have none.
fn limit(request: &ParsedRequest) -> Option<usize> {
    let limit = request.option("limit")?.parse().ok().filter(|limit| *limit > 0)?;
    (request.option("resourceVersion") != Some("0")).then_some(limit)
}

fn page(
    version: u64,
    request: &ParsedRequest,
    objects: &Objects,
    from: Option<&ContinueToken>,
) -> ServerResponse {
    let after = from.map_or("", |token| token.after.as_str());
    let mut selected = objects.iter().filter(|(name, it)| name.as_str() > after && request.selects(it));
    let items: Vec<_> = selected.by_ref().take(limit(request).unwrap_or(usize::MAX)).collect();
    let mut metadata = json!({"resourceVersion": version.to_string()});
    let rest = selected.count();
    if rest > 0
        && let Some((last, _)) = items.last()
    {
        let version = from.is_none_or(|token| token.version.is_some()).then_some(version);
        metadata["continue"] = json!(ContinueToken { version, after: (*last).clone() }.write());
        if request.option("labelSelector").is_none() && request.option("fieldSelector").is_none() {
            metadata["remainingItemCount"] = json!(rest);
        }
    }
    let items: Vec<_> = items.into_iter().map(|(_, object)| without_kind(object)).collect();
    let kind = format!("{}List", request.resource.kind());
    let api_version = request.resource.api_version();
    response::object(
        200,
        &json!({"kind": kind, "apiVersion": api_version, "metadata": metadata, "items": items}),
    )
}

/// Items of a list have neither kind nor version.
fn without_kind(object: &Arc<Value>) -> Value {
    let mut object = Value::clone(object);
    if let Some(fields) = object.as_object_mut() {
        fields.remove("kind");
        fields.remove("apiVersion");
    }
    object
}
