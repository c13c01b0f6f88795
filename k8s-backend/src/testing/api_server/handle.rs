//! Handles requests as a healthy server does.

use futures::{StreamExt as _, stream};
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    job_rules,
    list::list,
    request::{ParsedRequest, Resource, Verb},
    response::{self, ServerResponse, not_found, status},
    store::Store,
};

const ORPHAN_WARNING: &str = "299 - \"child pods are preserved by default when jobs are deleted; set \
    propagationPolicy=Background to remove them or set propagationPolicy=Orphan to suppress this warning\"";

/// Carries out a request.
pub(super) fn handle(store: &mut Store, request: &ParsedRequest, body: &[u8]) -> ServerResponse {
    let is_other_namespace = request.namespace != store.namespace;
    match request.verb {
        Verb::List => return list(store, request),
        Verb::Watch => return watch(store, request),
        Verb::Create if is_other_namespace => {
            let details = json!({"name": request.namespace, "kind": "namespaces"});
            let message = format!("namespaces {:?} not found", request.namespace);
            return status(404, "NotFound", &message, details);
        }
        Verb::DeleteCollection => {
            let message = "this server does not delete collections";
            return status(405, "MethodNotAllowed", message, Value::Null);
        }
        _ if is_other_namespace => return not_found(&request.resource, &request.name),
        _ => {}
    }
    let body: Value = if body.is_empty() {
        Value::Null
    } else {
        match serde_json::from_slice(body) {
            Ok(body) => body,
            Err(error) => {
                return status(400, "BadRequest", &format!("the body is not JSON: {error}"), Value::Null);
            }
        }
    };
    match request.verb {
        Verb::Create => create(store, request, body),
        Verb::Delete => delete(store, request, &body),
        Verb::Update | Verb::Patch => change(store, request, body),
        _ => match store.get(&request.resource, &request.name) {
            Some(object) => response::object(200, object),
            None => not_found(&request.resource, &request.name),
        },
    }
}

fn create(store: &mut Store, request: &ParsedRequest, mut object: Value) -> ServerResponse {
    let resource = &request.resource;
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
    if let Some(existing) = store.get(resource, &name) {
        let leaving = if is_terminating(existing) { "object is being deleted: " } else { "" };
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
    if request.option("dryRun").is_some() {
        return response::object(201, &object);
    }
    response::object(201, &store.put(resource, object))
}

/// Replaces an object, or applies a patch to it.
fn change(store: &mut Store, request: &ParsedRequest, body: Value) -> ServerResponse {
    let Some(existing) = store.get(&request.resource, &request.name) else {
        return not_found(&request.resource, &request.name);
    };
    let expected = body["metadata"].get("resourceVersion");
    if expected.is_some_and(|expected| *expected != existing["metadata"]["resourceVersion"]) {
        let message = format!(
            "Operation cannot be fulfilled on {} {:?}: the object has been modified; please apply your \
             changes to the latest version and try again",
            request.resource.qualified(),
            request.name
        );
        return status(
            409,
            "Conflict",
            &message,
            request.resource.details(&request.name, &request.resource.plural),
        );
    }
    let mut object = Value::clone(existing);
    if request.verb == Verb::Patch {
        merge(&mut object, body);
    } else {
        object["spec"] = body["spec"].clone();
    }
    response::object(200, &store.put(&request.resource, object))
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

fn delete(store: &mut Store, request: &ParsedRequest, options: &Value) -> ServerResponse {
    let resource = &request.resource;
    let is_job = *resource == Resource::jobs();
    let policy = options["propagationPolicy"].as_str().or_else(|| request.option("propagationPolicy"));
    let with_warning = |mut response: ServerResponse| {
        if is_job && policy.is_none() {
            response.headers_mut().insert("warning", http::HeaderValue::from_static(ORPHAN_WARNING));
        }
        response
    };
    let Some(existing) = store.get(resource, &request.name) else {
        return with_warning(not_found(resource, &request.name));
    };
    if options.get("orphanDependents").is_some() && policy.is_some() {
        return contradicting_policies(policy.unwrap_or_default());
    }
    if let Some(refusal) = precondition(resource, existing, &options["preconditions"]) {
        return refusal;
    }
    let finalizer = match policy {
        _ if !is_job => None,
        Some("Foreground") => Some("foregroundDeletion"),
        Some("Background") => None,
        _ => Some("orphan"),
    };
    let Some(finalizer) = finalizer else {
        let uid = existing["metadata"]["uid"].clone();
        store.remove(resource, &request.name);
        let mut details = resource.details(&request.name, &resource.plural);
        details["uid"] = uid;
        let done = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
            "details": details});
        return response::object(200, &done);
    };
    if is_terminating(existing) {
        return with_warning(response::object(200, existing));
    }
    let mut object = Value::clone(existing);
    let metadata = &mut object["metadata"];
    metadata["generation"] = json!(metadata["generation"].as_u64().unwrap_or(1) + 1);
    metadata["deletionTimestamp"] = json!(now());
    metadata["deletionGracePeriodSeconds"] = json!(0);
    metadata["finalizers"] = json!([finalizer]);
    with_warning(response::object(200, &store.put(resource, object)))
}

fn precondition(resource: &Resource, existing: &Value, expected: &Value) -> Option<ServerResponse> {
    let name = existing["metadata"]["name"].as_str().unwrap_or_default();
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
        let expected = expected[field].as_str()?;
        let found = existing["metadata"][field].as_str().unwrap_or_default();
        (expected != found).then(|| {
            let message = format!(
                "Operation cannot be fulfilled on {singular} {name:?}: the {called} in the precondition \
                 ({expected}) does not match the {called} in record ({found}). {hint}"
            );
            status(409, "Conflict", &message, resource.details(name, resource.kind()))
        })
    })
}

/// Refuses two contradicting fields about the pods; fixture `delete-preconditions`.
fn contradicting_policies(policy: &str) -> ServerResponse {
    let problem =
        format!("Invalid value: {policy:?}: orphanDependents and deletionPropagation cannot be both set");
    let causes = json!([{"reason": "FieldValueInvalid", "message": problem, "field": "propagationPolicy"}]);
    let details = json!({"group": "meta.k8s.io", "kind": "DeleteOptions", "causes": causes});
    let message = format!("DeleteOptions.meta.k8s.io \"\" is invalid: propagationPolicy: {problem}");
    status(422, "Invalid", &message, details)
}

fn watch(store: &mut Store, request: &ParsedRequest) -> ServerResponse {
    let initial = request.option("sendInitialEvents") == Some("true");
    if initial && request.option("resourceVersionMatch") != Some("NotOlderThan") {
        return initial_events_without_version_match();
    }
    let version = match request.option("resourceVersion").map(str::parse::<u64>) {
        None => 0,
        Some(Ok(version)) => version,
        Some(Err(_)) => {
            return status(400, "BadRequest", "the resource version is not a number", Value::Null);
        }
    };
    if initial || version == 0 {
        let (now, objects) = (store.version, store.all(&request.resource));
        return response::lines(store.watch(request.clone(), now, Some(objects)));
    }
    if version < store.compacted {
        let line = store.expired_line(version);
        return response::lines(stream::iter([Ok(response::Bytes::from(line))]).boxed());
    }
    response::lines(store.watch(request.clone(), version, None))
}

/// Refuses an option without the one that it requires; fixture `watch-variants`.
fn initial_events_without_version_match() -> ServerResponse {
    let problem = "Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
    let causes =
        json!([{"reason": "FieldValueForbidden", "message": problem, "field": "resourceVersionMatch"}]);
    let details = json!({"group": "meta.k8s.io", "kind": "ListOptions", "causes": causes});
    let message = format!("ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: {problem}");
    status(422, "Invalid", &message, details)
}

pub(super) fn is_terminating(object: &Value) -> bool {
    object["metadata"].get("deletionTimestamp").is_some()
}

/// Returns the current time in the format of the server: whole seconds.
pub(super) fn now() -> String {
    Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
