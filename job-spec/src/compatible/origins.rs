//! The settings that decide the fields of a Job of Terrakube 2.27.

use config_core::{Origin, SourceName, Variables, keys, workspace};

use super::seen_settings::seen;
use crate::request::Request;

/// Returns the origin of a field and, if no setting decides it, the reason;
/// `None` for a field that no such Job has.
pub(crate) fn decide(request: &Request<'_>, path: &[&str]) -> Option<(Origin, Option<&'static str>)> {
    let variables = &*request.variables;
    let settings = &*seen(request.settings);
    let last = path.last().copied().unwrap_or_default();
    let always = |reason| (default(last), Some(reason));
    let of_request = || (Origin::new(SourceName::Request, last), None);
    Some(match path {
        ["apiVersion" | "kind"] => always("what an attempt is"),
        ["metadata", "namespace"] => (settings.namespace.origin.clone(), None),
        ["metadata", "annotations", _] => (of_variable(variables, workspace::ANNOTATIONS.name()), None),
        ["metadata", ..] => of_request(),
        ["spec", "template", "spec", "containers", _, rest @ ..] => match rest {
            ["name"] => of_request(),
            ["image"] => (settings.image.origin.clone(), None),
            ["envFrom", ..] => (settings.secrets.origin.clone(), None),
            ["env", keys::EPHEMERAL_JOB_DATA, ..] => {
                (Origin::new(SourceName::Request, keys::EPHEMERAL_JOB_DATA), None)
            }
            ["env", ..] => always("an executor of this kind has no mode but batch"),
            ["securityContext", "allowPrivilegeEscalation"] => {
                (of_variable(variables, workspace::SECURITY_CONTEXT.name()), None)
            }
            ["securityContext"] => always("written even if it holds nothing"),
            ["resources", kind, resource] => (of_variable(variables, amount(kind, resource)), None),
            ["volumeMounts", path, ..] => (of_mount(variables, path), None),
            _ => return None,
        },
        ["spec", "template", "spec", rest @ ..] => match rest {
            ["nodeSelector", key] => (of_node_label(variables, request, key), None),
            ["restartPolicy"] => always("a container that ended is not started again in its pod"),
            ["securityContext", item] => (of_pod_security(variables, item), None),
            ["serviceAccountName"] => (of_variable(variables, workspace::SERVICE_ACCOUNT.name()), None),
            ["tolerations", ..] => (of_variable(variables, workspace::TOLERATIONS.name()), None),
            ["volumes", "config-volume", ..] => {
                (of_variable(variables, workspace::CONFIG_MAP_NAME.name()), None)
            }
            ["volumes", ..] => (of_variable(variables, workspace::PVC_CLAIM_NAME.name()), None),
            _ => return None,
        },
        _ => return None,
    })
}

fn default(key: &str) -> Origin {
    Origin::new(SourceName::Default, key)
}

fn of_variable(variables: &Variables, name: &str) -> Origin {
    match variables.get(name) {
        Some(_) => variables.origin_of(name),
        None => default(name),
    }
}

fn of_node_label(variables: &Variables, request: &Request<'_>, key: &str) -> Origin {
    let name = workspace::NODE_SELECTOR_TAGS.name();
    match request.settings.node_selector.get(key).filter(|_| variables.get(name).is_none()) {
        Some(label) => label.origin.clone(),
        None => of_variable(variables, name),
    }
}

/// The group of the volumes has a default, the other items have none.
fn of_pod_security(variables: &Variables, item: &str) -> Origin {
    let name = workspace::POD_SECURITY_CONTEXT.name();
    let is_said =
        |text: &str| text.split(';').any(|entry| entry.split_once('=').is_some_and(|(key, _)| key == item));
    if variables.get(name).is_some_and(is_said) { of_variable(variables, name) } else { default(item) }
}

fn of_mount(variables: &Variables, path: &str) -> Origin {
    let config_map_path = variables.get(workspace::CONFIG_MAP_MOUNT_PATH.name());
    let is_cache =
        variables.get(workspace::TF_PLUGIN_CACHE_DIR.name()) == Some(path) && config_map_path != Some(path);
    match (is_cache, config_map_path) {
        (true, _) => of_variable(variables, workspace::TF_PLUGIN_CACHE_DIR.name()),
        (false, Some(_)) => of_variable(variables, workspace::CONFIG_MAP_MOUNT_PATH.name()),
        (false, None) => of_variable(variables, workspace::CONFIG_MAP_NAME.name()),
    }
}

fn amount(kind: &str, resource: &str) -> &'static str {
    match (kind, resource) {
        ("requests", "cpu") => workspace::CPU_REQUEST.name(),
        ("requests", _) => workspace::MEMORY_REQUEST.name(),
        (_, "cpu") => workspace::CPU_LIMIT.name(),
        _ => workspace::MEMORY_LIMIT.name(),
    }
}
