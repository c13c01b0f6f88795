//! The reference pages of the operator's two files, settings and policy.

use std::fmt::Write as _;

use crate::{
    keys, platform,
    policy::FIELDS,
    workspace::{self, ResourceName},
};

/// Returns the reference page of the settings file, in Markdown.
#[must_use]
pub fn settings_file_page() -> String {
    let mut page = String::from(
        "# Settings file\n\n\
         <!-- Generated from config-core/src/reference/files.rs; cargo xtask docs writes it. -->\n\n\
         A TOML file of the platform operator: `api-server serve --settings FILE`. \
         It has the same settings as the environment and\n\
         is weaker than it; it also has variables for workspaces. Every key is optional. \
         The server does not start with an\n\
         unknown key, a value that is not a string or a variable that a workspace could not read; \
         each is reported with its\n\
         line.\n\n",
    );
    let _ = writeln!(page, "```toml\n{}```\n", include_str!("../../examples/settings.toml"));
    page.push_str("| key | same as |\n|---|---|\n");
    for property in platform::properties() {
        let _ = writeln!(page, "| `{property}` | `-D{}{property}` |", keys::PROPERTY_PREFIX);
    }
    page.push_str(
        "| `variables.<NAME>` | a workspace variable of that name, in every workspace |\n\
         | `organizations.<id or name>.variables.<NAME>` | the same, \
         in the workspaces of one organization |\n\n\
         Variables, strongest first: workspace, global ones of the organization, collections,\n\
         `organizations.<id>.variables`, `organizations.<name>.variables`, `variables`. \
         A name with the suffix `_PLAN` or\n\
         `_APPLY` counts for steps of that kind and wins there, whatever layer it comes from. \
         The names are those of the\n\
         [workspace variables](settings.md#workspace-variables-of-category-env); \
         others belong into a workspace. The\n\
         [policy](policy.md) does not apply to variables of this file.\n",
    );
    page
}

/// Returns the reference page of the policy file, in Markdown.
#[must_use]
pub fn policy_page() -> String {
    let mut page = String::from(
        "# Policy file\n\n\
         <!-- Generated from config-core/src/reference/files.rs; cargo xtask docs writes it. -->\n\n\
         What the owners of workspaces, organizations and collections may set: \
         `api-server serve --policy FILE`, a TOML file.\n\
         Values that it does not permit are refused when variables are set and when a job is created, \
         all at once and before\n\
         anything exists in the cluster. The server does not start with an unknown key or name.\n\n",
    );
    let _ = writeln!(page, "```toml\n{}```\n", include_str!("../../examples/policy.toml"));
    page.push_str("| key | form | where it is absent |\n|---|---|---|\n");
    for field in FIELDS {
        let (form, absent) = field_of_rules(field);
        let _ = writeln!(page, "| `{field}` | {form} | {absent} |");
    }
    let resources = ResourceName::ALL.map(|resource| format!("`{}`", resource.as_str())).join(", ");
    let _ =
        writeln!(page, "\nA maximum may be set for {resources} (quantities of Kubernetes) and `deadline`.");
    let needs = workspace::settings()
        .filter(|setting| setting.permission)
        .map(|setting| format!("`{}`", setting.name));
    let needs: Vec<String> = needs.collect();
    let _ = writeln!(page, "\nVariables that need a permission: {}.", needs.join(", "));
    page.push_str(RULES);
    page
}

fn field_of_rules(field: &str) -> (&'static str, &'static str) {
    match field {
        "allow" => ("list of variables that need a permission", "none is allowed"),
        "forbid" => ("list of variables that no workspace may set", "none is forbidden"),
        "pod-security" => ("`restricted`, `baseline` or `privileged`", "`baseline`"),
        "values" => (
            "table from a variable to a list of patterns; one must match, `*` matches any characters, \
             `!pattern` excludes what it matches",
            "any value",
        ),
        "maximum" => ("table of amounts", "no maximum"),
        _ => ("", ""),
    }
}

const RULES: &str = include_str!("../../policy.md");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn describes_every_field_of_a_policy() {
        for field in FIELDS {
            assert_ne!(field_of_rules(field), ("", ""), "{field}");
        }
    }
}
