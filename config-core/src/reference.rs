//! The reference page of every setting, made from [`keys::settings`].
//!
//! A test compares it with `docs/reference/settings.md`, and its neighbours with theirs; with `UPDATE_REFERENCE=1` the test writes the file.

use std::fmt::Write as _;

use crate::keys::{self, Place, Setting};

mod files;

/// What holds for all variables of workspaces.
const WORKSPACE: &str = "
A variable is set for a workspace, as a global variable of its organization, or in a collection that the workspace refers to; in
this order the one wins over the other, and all of them win over the variables of the operator's [settings file](settings-file.md).
What a workspace may set, and to what, is decided by the operator's [policy](policy.md).

A name that begins with `EPHEMERAL_` may end with `_PLAN` or `_APPLY`. Then it counts for steps of that kind alone (`_APPLY` for apply
and destroy), and there it wins over the name without the ending, whatever layer either comes from. So a plan needs no account that
can change anything: `EPHEMERAL_CONFIG_SERVICE_ACCOUNT_PLAN=reader` beside `EPHEMERAL_CONFIG_SERVICE_ACCOUNT=deployer`.

A name that begins with `EPHEMERAL_` and is not on this page is refused, with the nearest name that is.
";

pub use files::{policy_page, settings_file_page};

/// Returns the reference page of every setting, in Markdown.
#[must_use]
pub fn settings_page() -> String {
    let mut page = String::from(
        "# Settings\n\n\
         <!-- Generated from config-core/src/keys.rs; UPDATE_REFERENCE=1 cargo test -p config-core writes it. -->\n\n\
         Precedence, strongest first: properties (in `SPRING_APPLICATION_JSON`, as `-D` options in `_JAVA_OPTIONS` or `JAVA_TOOL_OPTIONS`, in the environment in upper case with underscores), short names like `ExecutorEphemeralImage` (in the same places), the [settings file](settings-file.md), built-in defaults.\n\
         The fixed part of a property name is compared without regard to case and dashes; a label key keeps its case.\n",
    );
    for (place, title, introduction) in [
        (Place::Platform, "Platform: environment of the api-server", ""),
        (Place::Workspace, "Workspace: variables of category `ENV`", WORKSPACE),
        (Place::Executor, "Executor: environment of its container", ""),
    ] {
        let _ = write!(page, "\n## {title}\n{introduction}");
        for setting in keys::settings().filter(|setting| setting.place == place) {
            describe(&mut page, setting);
        }
    }
    page.push('\n');
    page.push_str(include_str!("../differences.md"));
    page
}

fn describe(page: &mut String, setting: &Setting) {
    let Setting { name, place: _, also, grammar, default, example, since, permission, summary } = setting;
    let _ = writeln!(page, "\n### `{name}`\n\n{summary}\n");
    let _ = writeln!(page, "- form: {grammar}");
    let _ = match default {
        Some(default) => writeln!(page, "- default: `{default}`"),
        None => writeln!(page, "- default: none"),
    };
    let _ = writeln!(page, "- example: `{example}`");
    if !also.is_empty() {
        let spellings: Vec<String> = also.iter().map(|name| format!("`{name}`")).collect();
        let _ = writeln!(page, "- also: {}", spellings.join(", "));
    }
    if *permission {
        let _ = writeln!(page, "- permission: only where the operator's [policy](policy.md) allows it");
    }
    let _ = writeln!(page, "- since: {since}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_every_name_once() {
        let page = settings_page();
        for name in keys::WORKSPACE_VARIABLES {
            assert_eq!(page.matches(&format!("### `{name}`\n")).count(), 1, "{name}");
        }
        assert_eq!(page.matches("\n### ").count(), keys::settings().count());
    }
}
