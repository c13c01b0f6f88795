//! The reference page of every setting, generated from the descriptors.
//!
//! A test of the api-server compares it with `docs/reference/settings.md`;
//! `cargo xtask docs` writes the file.

use std::fmt::Write as _;

use crate::{
    executor, platform,
    setting::{OldName, Setting},
    workspace,
};

mod files;

/// The introduction to the variables of workspaces.
const WORKSPACE: &str = "
A variable is set for a workspace, as a global variable of its organization, \
or in a collection that the workspace refers to; the
first of these wins, and all of them win over the variables of the operator's \
[settings file](settings-file.md).
The operator's [policy](policy.md) decides which variables a workspace may set, and to which values.

A name that begins with `EPHEMERAL_` may have the suffix `_PLAN` or `_APPLY`. Then it applies to steps of \
that kind only (`_APPLY` for apply
and destroy), and there it wins over the name without the suffix, whichever layer either comes from. \
So a plan needs no account that
can change anything: `EPHEMERAL_CONFIG_SERVICE_ACCOUNT_PLAN=reader` beside \
`EPHEMERAL_CONFIG_SERVICE_ACCOUNT=deployer`.

A name that begins with `EPHEMERAL_` and is not on this page is refused with the nearest known name.
";

pub use files::{policy_page, settings_file_page};

/// Returns the reference page of every setting, in Markdown.
#[must_use]
pub fn settings_page() -> String {
    let mut page = String::from(
        "# Settings\n\n\
         <!-- Generated from the descriptors in config-core/src; cargo xtask docs writes it. -->\n\n\
         Precedence, strongest first: properties (in `SPRING_APPLICATION_JSON`, as `-D` options in \
         `_JAVA_OPTIONS` or `JAVA_TOOL_OPTIONS`, in the environment in upper case with underscores), short \
         names like `ExecutorEphemeralImage` (in the same places), the [settings file](settings-file.md), \
         built-in defaults.\n\
         The fixed part of a property name is compared without regard to case and dashes; \
         a label key keeps its case.\n",
    );
    let platform = platform::settings().chain([&platform::NODE_SELECTOR]);
    section(&mut page, "Platform: environment of the api-server", "", platform);
    section(&mut page, "Workspace: variables of category `ENV`", WORKSPACE, workspace::settings());
    section(&mut page, "Executor: environment of its container", "", executor::ALL.iter());
    page.push('\n');
    page.push_str(include_str!("../differences.md"));
    page
}

fn section(
    page: &mut String,
    title: &str,
    introduction: &str,
    settings: impl Iterator<Item = &'static Setting>,
) {
    let _ = write!(page, "\n## {title}\n{introduction}");
    for setting in settings {
        describe(page, setting);
    }
}

fn describe(page: &mut String, setting: &Setting) {
    let _ = writeln!(page, "\n### `{}`\n\n{}\n", setting.name, setting.summary.trim());
    let _ = writeln!(page, "- form: {}", setting.grammar);
    let _ = match setting.default {
        Some(default) => writeln!(page, "- default: `{default}`"),
        None => writeln!(page, "- default: none"),
    };
    let _ = writeln!(page, "- example: `{}`", setting.example);
    let spellings: Vec<String> = setting.spellings().iter().map(|name| format!("`{name}`")).collect();
    if !spellings.is_empty() {
        let _ = writeln!(page, "- also: {}", spellings.join(", "));
    }
    if let Some(OldName { name, property, until }) = setting.old_name {
        let _ = writeln!(
            page,
            "- old name: `{name}`, as a property `{property}`; accepted with a warning until version {until}"
        );
    }
    if !setting.sets.is_empty() {
        let fields: Vec<String> = setting.sets.iter().map(|field| format!("`{field}`")).collect();
        let _ = writeln!(page, "- sets: {}", fields.join(", "));
    }
    if let Some(other) = setting.only_with {
        let _ = writeln!(page, "- only with: `{other}`");
    }
    if let Some(variable) = setting.replaced_by {
        let _ = writeln!(page, "- in a workspace: `{variable}` replaces it");
    }
    if setting.permission {
        let _ = writeln!(page, "- permission: only where the operator's [policy](policy.md) allows it");
    }
    let _ = writeln!(page, "- since: {}", setting.since);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_has_every_name_once() {
        let page = settings_page();
        let settings = || platform::settings().chain(workspace::settings()).chain(executor::ALL);
        for Setting { name, .. } in settings() {
            assert_eq!(page.matches(&format!("### `{name}`\n")).count(), 1, "{name}");
        }
        // The node selector of the platform has a name with a placeholder.
        assert_eq!(page.matches("\n### ").count(), settings().count() + 1);
    }
}
