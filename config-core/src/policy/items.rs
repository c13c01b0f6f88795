//! What of a variable's value the patterns of a policy are held against: the items of a list, or the whole.

use crate::{
    keys,
    names::SecretName,
    value::{EnvVars, HostAliases, KeyValues, ListError, NameList, Tolerations},
};

/// Returns the items as they print; none if the value cannot be read, which is refused elsewhere. An empty list counts as
/// one empty item: of a node selector it means any node, which is no less than what a list can say.
pub(super) fn of(key: &str, value: &str) -> Vec<String> {
    match list(key, value) {
        Some(Ok(items)) if items.is_empty() => vec![String::new()],
        Some(items) => items.unwrap_or_default(),
        // Terraform is handed this one as it is.
        None if key == keys::TF_PLUGIN_CACHE_DIR => vec![value.to_owned()],
        None => vec![value.trim().to_owned()],
    }
}

/// Returns the item as it may be shown: the value of a variable of terraform may be a secret.
pub(super) fn shown<'i>(key: &str, item: &'i str) -> &'i str {
    match item.split_once('=') {
        Some((name, _)) if key == keys::JOB_ENV_VARS => name,
        _ => item,
    }
}

fn list(key: &str, value: &str) -> Option<Result<Vec<String>, ListError>> {
    let pair = |(key, value): (&str, &str)| format!("{key}={value}");
    Some(match key {
        keys::CONFIG_NODE_SELECTOR_TAGS
        | keys::CONFIG_ANNOTATIONS
        | keys::CONFIG_POD_ANNOTATIONS
        | keys::CONFIG_LABELS
        | keys::CONFIG_POD_SECURITY_CONTEXT
        | keys::CONFIG_SECURITY_CONTEXT => {
            value.parse().map(|list: KeyValues| list.iter().map(pair).collect())
        }
        keys::JOB_ENV_VARS => value.parse().map(|list: EnvVars| list.iter().map(pair).collect()),
        keys::CONFIG_TOLERATIONS => {
            value.parse().map(|list: Tolerations| list.iter().map(ToString::to_string).collect())
        }
        keys::CONFIG_ENVFROM_CONFIG_MAP | keys::CONFIG_IMAGE_PULL_SECRETS => {
            value.parse().map(|list: NameList<SecretName>| list.iter().map(ToString::to_string).collect())
        }
        keys::CONFIG_HOST_ALIASES => value.parse().map(|list: HostAliases| {
            list.to_string().split(';').filter(|item| !item.is_empty()).map(str::to_owned).collect()
        }),
        _ => return None,
    })
}
