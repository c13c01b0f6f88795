//! Parses a request: its verb, its resource, its options.

use std::{collections::BTreeMap, fmt};

use http::Method;
use serde_json::{Value, json};

/// A verb of a request, as rights name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Verb {
    /// Read one object.
    Get,
    /// Read all objects.
    List,
    /// Follow the objects.
    Watch,
    /// Create an object.
    Create,
    /// Replace an object.
    Update,
    /// Change parts of an object.
    Patch,
    /// Delete an object.
    Delete,
    /// Delete all objects.
    DeleteCollection,
}

impl Verb {
    /// All verbs.
    pub const ALL: [Self; 8] = [
        Self::Get,
        Self::List,
        Self::Watch,
        Self::Create,
        Self::Update,
        Self::Patch,
        Self::Delete,
        Self::DeleteCollection,
    ];
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Create => "create",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::DeleteCollection => "deletecollection",
        })
    }
}

/// A kind of objects, as a path names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Resource {
    pub(super) group: String,
    pub(super) plural: String,
}

impl Resource {
    pub(super) fn jobs() -> Self {
        Self { group: "batch".to_owned(), plural: "jobs".to_owned() }
    }

    /// Returns the resource of this plural name.
    pub(super) fn named(plural: &str) -> Option<Self> {
        let group = match plural {
            "jobs" => "batch",
            "secrets" | "pods" | "events" => "",
            _ => return None,
        };
        Some(Self { group: group.to_owned(), plural: plural.to_owned() })
    }

    pub(super) const fn api_version(&self) -> &'static str {
        if self.group.is_empty() { "v1" } else { "batch/v1" }
    }

    pub(super) fn kind(&self) -> &'static str {
        match self.plural.as_str() {
            "jobs" => "Job",
            "secrets" => "Secret",
            "pods" => "Pod",
            _ => "Event",
        }
    }

    /// Returns the name in messages: `jobs.batch`, `secrets`.
    pub(super) fn qualified(&self) -> String {
        if self.group.is_empty() { self.plural.clone() } else { format!("{}.{}", self.plural, self.group) }
    }

    /// Returns the details of a refusal; `kind` is sometimes the plural name.
    pub(super) fn details(&self, name: &str, kind: &str) -> Value {
        let mut details = json!({"kind": kind});
        if !self.group.is_empty() {
            details["group"] = json!(self.group);
        }
        if !name.is_empty() {
            details["name"] = json!(name);
        }
        details
    }
}

/// A parsed request.
#[derive(Debug, Clone)]
pub(super) struct ParsedRequest {
    pub(super) verb: Verb,
    pub(super) resource: Resource,
    pub(super) namespace: String,
    /// Empty for requests on all objects.
    pub(super) name: String,
    pub(super) query: BTreeMap<String, String>,
}

/// A request that no API server knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum UnknownRequest {
    /// There is no such API group.
    Group,
    /// The group has no such version or resource.
    Resource,
}

impl ParsedRequest {
    pub(super) fn parse(method: &Method, path: &str, query: &str) -> Result<Self, UnknownRequest> {
        let parts: Vec<_> = path.trim_matches('/').split('/').collect();
        let (group, rest) = match parts.as_slice() {
            ["api", "v1", rest @ ..] => ("", rest),
            ["apis", "batch", "v1", rest @ ..] => ("batch", rest),
            ["api", ..] | ["apis", "batch", ..] => return Err(UnknownRequest::Resource),
            _ => return Err(UnknownRequest::Group),
        };
        let (namespace, plural, name) = match rest {
            ["namespaces", namespace, plural] => (*namespace, *plural, ""),
            ["namespaces", namespace, plural, name] => (*namespace, *plural, *name),
            _ => return Err(UnknownRequest::Resource),
        };
        let resource = Resource::named(plural).filter(|resource| resource.group == group);
        let query = pairs(query);
        let watching = query.get("watch").is_some_and(|value| matches!(value.as_str(), "1" | "true"));
        let verb = match (method, name.is_empty()) {
            (&Method::GET, true) if watching => Verb::Watch,
            (&Method::GET, true) => Verb::List,
            (&Method::GET, false) => Verb::Get,
            (&Method::POST, true) => Verb::Create,
            (&Method::PUT, false) => Verb::Update,
            (&Method::PATCH, false) => Verb::Patch,
            (&Method::DELETE, false) => Verb::Delete,
            (&Method::DELETE, true) => Verb::DeleteCollection,
            _ => return Err(UnknownRequest::Resource),
        };
        Ok(Self {
            verb,
            resource: resource.ok_or(UnknownRequest::Resource)?,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            query,
        })
    }

    /// Returns an option of the query; an empty one is none.
    pub(super) fn option(&self, key: &str) -> Option<&str> {
        self.query.get(key).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Returns whether an object matches the selectors.
    pub(super) fn selects(&self, object: &Value) -> bool {
        let metadata = &object["metadata"];
        let labels_match = self.option("labelSelector").is_none_or(|selector| {
            selector.split(',').all(|term| match term.split_once('=') {
                Some((key, value)) => metadata["labels"][key] == value.trim_start_matches('='),
                None => metadata["labels"].get(term).is_some(),
            })
        });
        let fields_match = self.option("fieldSelector").is_none_or(|selector| {
            selector.split(',').all(|term| match term.split_once('=') {
                Some((path, value)) => {
                    let pointer = format!("/{}", path.replace('.', "/"));
                    object.pointer(&pointer).is_some_and(|found| found == value.trim_start_matches('='))
                }
                None => false,
            })
        });
        labels_match && fields_match
    }
}

fn pairs(query: &str) -> BTreeMap<String, String> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (unescape(key), unescape(value))
        })
        .collect()
}

/// Undoes percent-encoding and plus signs.
fn unescape(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let escaped = (byte == b'%').then(|| text.get(at + 1..at + 3)).flatten();
        if let Some(byte) = escaped.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            plain.push(byte);
            at += 3;
        } else {
            plain.push(if byte == b'+' { b' ' } else { byte });
            at += 1;
        }
    }
    String::from_utf8_lossy(&plain).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_as_its_verb_resource_and_options() {
        let path = "/apis/batch/v1/namespaces/terrakube/jobs";
        let parsed = ParsedRequest::parse(&Method::GET, path, "watch=1&labelSelector=a%3Db%2Cc").unwrap();
        assert_eq!((parsed.verb, parsed.option("labelSelector")), (Verb::Watch, Some("a=b,c")));
        let parsed = ParsedRequest::parse(&Method::DELETE, &format!("{path}/job-1"), "").unwrap();
        assert_eq!((parsed.verb, parsed.name.as_str()), (Verb::Delete, "job-1"));
        for (path, expected) in [
            ("/apis/nope.example.com/v1/namespaces/terrakube/things", UnknownRequest::Group),
            ("/apis/batch/v9/namespaces/terrakube/jobs", UnknownRequest::Resource),
            ("/apis/batch/v1/namespaces/terrakube/jobz", UnknownRequest::Resource),
            ("/api/v1/namespaces/terrakube/jobs", UnknownRequest::Resource),
        ] {
            assert_eq!(ParsedRequest::parse(&Method::GET, path, "").unwrap_err(), expected, "{path}");
        }
    }

    #[test]
    fn a_selector_asks_for_labels_and_fields() {
        let object = json!({"metadata": {"name": "job-1", "labels": {"a": "b", "c": "d"}}});
        let selects = |query: &str| {
            let path = "/apis/batch/v1/namespaces/terrakube/jobs";
            ParsedRequest::parse(&Method::GET, path, query).unwrap().selects(&object)
        };
        for query in
            ["", "labelSelector=a%3Db,c%3Dd", "labelSelector=a", "fieldSelector=metadata.name%3Djob-1"]
        {
            assert!(selects(query), "{query}");
        }
        for query in ["labelSelector=a%3Dx", "labelSelector=x", "fieldSelector=metadata.name%3Djob-2"] {
            assert!(!selects(query), "{query}");
        }
    }
}
