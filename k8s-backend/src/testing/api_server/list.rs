//! Lists, whole and in pages; fixtures `list-paging` and `expired-410`.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{
    answer::{self, Answer, status, status_object},
    request::Asked,
    store::{Objects, Store},
};

/// Where a list goes on.
struct Place {
    /// The version that the first page has seen; `None` goes on with the objects as they are now.
    version: Option<u64>,
    after: String,
}

impl Place {
    fn write(&self) -> String {
        self.version.map_or_else(|| format!("now.{}", self.after), |it| format!("{it}.{}", self.after))
    }

    fn read(token: &str) -> Option<Self> {
        let (version, after) = token.split_once('.')?;
        let version = if version == "now" { None } else { Some(version.parse().ok()?) };
        Some(Self { version, after: after.to_owned() })
    }
}

/// Answers a list.
pub(super) fn list(store: &mut Store, asked: &Asked) -> Answer {
    let version = asked.option("resourceVersion");
    let place = match asked.option("continue") {
        None => None,
        Some(_) if version.is_some_and(|version| version != "0") => {
            let message = "specifying resource version is not allowed when using continue";
            return status(400, "BadRequest", message, Value::Null);
        }
        Some(token) => match Place::read(token) {
            Some(place) => Some(place),
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
    if let Some(refusal) = refuse_version(store, asked) {
        return refusal;
    }
    if asked.namespace != store.namespace {
        return page(store.version, asked, &Objects::new(), None);
    }
    let (seen_at, objects) = match &place {
        Some(Place { version: Some(version), after }) => match store.pages.get(version) {
            Some(seen) => (*version, seen.get(&asked.resource).cloned().unwrap_or_default()),
            None => return expired(after),
        },
        _ => (store.version, store.all(&asked.resource)),
    };
    let answer = page(seen_at, asked, &objects, place.as_ref());
    if limit(asked).is_some() {
        store.pages.entry(seen_at).or_default().entry(asked.resource.clone()).or_insert(objects);
    }
    answer
}

/// A version that is gone, or not there yet, is refused.
fn refuse_version(store: &Store, asked: &Asked) -> Option<Answer> {
    let version: u64 = asked.option("resourceVersion")?.parse().ok()?;
    if asked.option("resourceVersionMatch") == Some("Exact") && version <= store.compacted {
        let message = "The resourceVersion for the provided list is too old.";
        return Some(status(410, "Expired", message, Value::Null));
    }
    (version > store.version).then(|| too_large(version, store.version))
}

/// The version is not there yet; fixture `resource-version-in-the-future`.
fn too_large(asked: u64, current: u64) -> Answer {
    let message = format!("Timeout: Too large resource version: {asked}, current: {current}");
    let causes = json!([{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]);
    let mut answer = status(504, "Timeout", &message, json!({"causes": causes, "retryAfterSeconds": 1}));
    answer.headers_mut().insert("retry-after", http::HeaderValue::from_static("1"));
    answer
}

fn expired(after: &str) -> Answer {
    let message = "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.";
    let mut body = status_object(410, "Expired", message, Value::Null);
    let go_on = Place { version: None, after: after.to_owned() };
    body["metadata"]["continue"] = json!(go_on.write());
    answer::object(410, &body)
}

/// The greatest number of objects in an answer; one below 1 and a list from the cache have none.
fn limit(asked: &Asked) -> Option<usize> {
    let limit = asked.option("limit")?.parse().ok().filter(|limit| *limit > 0)?;
    (asked.option("resourceVersion") != Some("0")).then_some(limit)
}

fn page(version: u64, asked: &Asked, objects: &Objects, from: Option<&Place>) -> Answer {
    let after = from.map_or("", |place| place.after.as_str());
    let mut selected = objects.iter().filter(|(name, it)| name.as_str() > after && asked.selects(it));
    let items: Vec<_> = selected.by_ref().take(limit(asked).unwrap_or(usize::MAX)).collect();
    let mut metadata = json!({"resourceVersion": version.to_string()});
    let rest = selected.count();
    if rest > 0
        && let Some((last, _)) = items.last()
    {
        let version = from.is_none_or(|place| place.version.is_some()).then_some(version);
        metadata["continue"] = json!(Place { version, after: (*last).clone() }.write());
        if asked.option("labelSelector").is_none() && asked.option("fieldSelector").is_none() {
            metadata["remainingItemCount"] = json!(rest);
        }
    }
    let items: Vec<_> = items.into_iter().map(|(_, object)| without_kind(object)).collect();
    let kind = format!("{}List", asked.resource.kind());
    let api_version = asked.resource.api_version();
    answer::object(
        200,
        &json!({"kind": kind, "apiVersion": api_version, "metadata": metadata, "items": items}),
    )
}

/// The items of a list do not repeat what they are.
fn without_kind(object: &Arc<Value>) -> Value {
    let mut object = Value::clone(object);
    if let Some(fields) = object.as_object_mut() {
        fields.remove("kind");
        fields.remove("apiVersion");
    }
    object
}
