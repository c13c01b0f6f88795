//! Answers requests as a server does that is well.

use futures::{StreamExt as _, stream};
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    answer::{self, Answer, not_found, status},
    job_rules,
    list::list,
    request::{Asked, Resource, Verb},
    store::Store,
};

const ORPHANED: &str = "299 - \"child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them or set propagationPolicy=Orphan to suppress this warning\"";

/// Carries out a request.
pub(super) fn answer(store: &mut Store, asked: &Asked, body: &[u8]) -> Answer {
    let elsewhere = asked.namespace != store.namespace;
    match asked.verb {
        Verb::List => return list(store, asked),
        Verb::Watch => return watch(store, asked),
        Verb::Create if elsewhere => {
            let details = json!({"name": asked.namespace, "kind": "namespaces"});
            let message = format!("namespaces {:?} not found", asked.namespace);
            return status(404, "NotFound", &message, details);
        }
        Verb::DeleteCollection => {
            let message = "the double does not delete collections";
            return status(405, "MethodNotAllowed", message, Value::Null);
        }
        _ if elsewhere => return not_found(&asked.resource, &asked.name),
        _ => {}
    }
    let body: Value = if body.is_empty() {
        Value::Null
    } else {
        match serde_json::from_slice(body) {
            Ok(body) => body,
            Err(error) => {
                return status(400, "BadRequest", &format!("the body is no JSON: {error}"), Value::Null);
            }
        }
    };
    match asked.verb {
        Verb::Create => create(store, asked, body),
        Verb::Delete => delete(store, asked, &body),
        Verb::Update | Verb::Patch => change(store, asked, body),
        _ => match store.get(&asked.resource, &asked.name) {
            Some(object) => answer::object(200, object),
            None => not_found(&asked.resource, &asked.name),
        },
    }
}

fn create(store: &mut Store, asked: &Asked, mut object: Value) -> Answer {
    let resource = &asked.resource;
    if object["metadata"].get("resourceVersion").is_some() {
        let message = "resourceVersion should not be set on objects to be created";
        return status(500, "", message, Value::Null);
    }
    let generated = object["metadata"]["generateName"].as_str();
    if let Some(head) = generated.filter(|_| object["metadata"].get("name").is_none()) {
        object["metadata"]["name"] = json!(format!("{head}{:05}", store.version));
    }
    if *resource == Resource::jobs() {
        let problems = job_rules::problems(&object);
        if !problems.is_empty() {
            let (message, causes) = job_rules::refusal(&object, &problems);
            let name = object["metadata"]["name"].as_str().unwrap_or_default();
            let mut details = resource.details(name, resource.kind());
            details["causes"] = causes;
            return status(422, "Invalid", &message, details);
        }
    }
    let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    if let Some(there) = store.get(resource, &name) {
        let leaving = if is_being_deleted(there) { "object is being deleted: " } else { "" };
        let message = format!("{leaving}{} {name:?} already exists", resource.qualified());
        return status(409, "AlreadyExists", &message, resource.details(&name, &resource.plural));
    }
    object["kind"] = json!(resource.kind());
    object["apiVersion"] = json!(resource.api_version());
    let metadata = &mut object["metadata"];
    metadata["namespace"] = json!(store.namespace);
    metadata["uid"] = json!(store.new_uid());
    metadata["creationTimestamp"] = json!(now());
    if *resource == Resource::jobs() {
        metadata["generation"] = json!(1);
        job_rules::fill_in(&mut object);
    }
    if asked.option("dryRun").is_some() {
        return answer::object(201, &object);
    }
    answer::object(201, &store.put(resource, object))
}

/// Replaces an object, or merges a patch into it.
fn change(store: &mut Store, asked: &Asked, body: Value) -> Answer {
    let Some(there) = store.get(&asked.resource, &asked.name) else {
        return not_found(&asked.resource, &asked.name);
    };
    let wanted = body["metadata"].get("resourceVersion");
    if wanted.is_some_and(|wanted| *wanted != there["metadata"]["resourceVersion"]) {
        let message = format!(
            "Operation cannot be fulfilled on {} {:?}: the object has been modified; please apply your changes to the latest version and try again",
            asked.resource.qualified(),
            asked.name
        );
        return status(
            409,
            "Conflict",
            &message,
            asked.resource.details(&asked.name, &asked.resource.plural),
        );
    }
    let mut object = Value::clone(there);
    if asked.verb == Verb::Patch {
        merge(&mut object, body);
    } else {
        object["spec"] = body["spec"].clone();
    }
    answer::object(200, &store.put(&asked.resource, object))
}

/// A JSON merge patch, RFC 7396.
fn merge(target: &mut Value, patch: Value) {
    let Value::Object(fields) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (key, value) in fields {
        if value.is_null() {
            if let Some(target) = target.as_object_mut() {
                target.remove(&key);
            }
        } else {
            merge(&mut target[key], value);
        }
    }
}

fn delete(store: &mut Store, asked: &Asked, options: &Value) -> Answer {
    let resource = &asked.resource;
    let is_job = *resource == Resource::jobs();
    let policy = options["propagationPolicy"].as_str().or_else(|| asked.option("propagationPolicy"));
    let warn = |mut answer: Answer| {
        if is_job && policy.is_none() {
            answer.headers_mut().insert("warning", http::HeaderValue::from_static(ORPHANED));
        }
        answer
    };
    let Some(there) = store.get(resource, &asked.name) else {
        return warn(not_found(resource, &asked.name));
    };
    if options.get("orphanDependents").is_some() && policy.is_some() {
        return both_ways(policy.unwrap_or_default());
    }
    if let Some(refusal) = precondition(resource, there, &options["preconditions"]) {
        return refusal;
    }
    let finalizer = match policy {
        _ if !is_job => None,
        Some("Foreground") => Some("foregroundDeletion"),
        Some("Background") => None,
        _ => Some("orphan"),
    };
    let Some(finalizer) = finalizer else {
        let uid = there["metadata"]["uid"].clone();
        store.remove(resource, &asked.name);
        let mut details = resource.details(&asked.name, &resource.plural);
        details["uid"] = uid;
        let done = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
            "details": details});
        return answer::object(200, &done);
    };
    if is_being_deleted(there) {
        return warn(answer::object(200, there));
    }
    let mut object = Value::clone(there);
    let metadata = &mut object["metadata"];
    metadata["generation"] = json!(metadata["generation"].as_u64().unwrap_or(1) + 1);
    metadata["deletionTimestamp"] = json!(now());
    metadata["deletionGracePeriodSeconds"] = json!(0);
    metadata["finalizers"] = json!([finalizer]);
    warn(answer::object(200, &store.put(resource, object)))
}

fn precondition(resource: &Resource, there: &Value, wanted: &Value) -> Option<Answer> {
    let name = there["metadata"]["name"].as_str().unwrap_or_default();
    let singular = if resource.group.is_empty() {
        resource.kind().to_owned()
    } else {
        format!("{}.{}", resource.kind(), resource.group)
    };
    let fields = [
        ("uid", "UID", "The object might have been deleted and then recreated"),
        ("resourceVersion", "ResourceVersion", "The object might have been modified"),
    ];
    fields.into_iter().find_map(|(field, called, hint)| {
        let wanted = wanted[field].as_str()?;
        let found = there["metadata"][field].as_str().unwrap_or_default();
        (wanted != found).then(|| {
            let message = format!(
                "Operation cannot be fulfilled on {singular} {name:?}: the {called} in the precondition ({wanted}) does not match the {called} in record ({found}). {hint}"
            );
            status(409, "Conflict", &message, resource.details(name, resource.kind()))
        })
    })
}

/// Two fields say what becomes of the pods; fixture `delete-preconditions`.
fn both_ways(policy: &str) -> Answer {
    let problem =
        format!("Invalid value: {policy:?}: orphanDependents and deletionPropagation cannot be both set");
    let causes = json!([{"reason": "FieldValueInvalid", "message": problem, "field": "propagationPolicy"}]);
    let details = json!({"group": "meta.k8s.io", "kind": "DeleteOptions", "causes": causes});
    let message = format!("DeleteOptions.meta.k8s.io \"\" is invalid: propagationPolicy: {problem}");
    status(422, "Invalid", &message, details)
}

fn watch(store: &mut Store, asked: &Asked) -> Answer {
    let initial = asked.option("sendInitialEvents") == Some("true");
    if initial && asked.option("resourceVersionMatch") != Some("NotOlderThan") {
        return initial_events_of_which_version();
    }
    let version = match asked.option("resourceVersion").map(str::parse::<u64>) {
        None => 0,
        Some(Ok(version)) => version,
        Some(Err(_)) => return status(400, "BadRequest", "the resource version is no number", Value::Null),
    };
    if initial || version == 0 {
        let (now, objects) = (store.version, store.all(&asked.resource));
        return answer::lines(store.watch(asked.clone(), now, Some(objects)));
    }
    if version < store.compacted {
        let line = store.expired_line(version);
        return answer::lines(stream::iter([Ok(answer::Bytes::from(line))]).boxed());
    }
    answer::lines(store.watch(asked.clone(), version, None))
}

/// An option misses another one; fixture `watch-variants`.
fn initial_events_of_which_version() -> Answer {
    let problem = "Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
    let causes =
        json!([{"reason": "FieldValueForbidden", "message": problem, "field": "resourceVersionMatch"}]);
    let details = json!({"group": "meta.k8s.io", "kind": "ListOptions", "causes": causes});
    let message = format!("ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: {problem}");
    status(422, "Invalid", &message, details)
}

pub(super) fn is_being_deleted(object: &Value) -> bool {
    object["metadata"].get("deletionTimestamp").is_some()
}

/// The time as the server writes it: whole seconds.
pub(super) fn now() -> String {
    Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
