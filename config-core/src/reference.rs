//! The reference page of every setting, made from [`keys::settings`].
//!
//! A test compares it with `docs/reference/settings.md`, and its neighbours with theirs; with `UPDATE_REFERENCE=1` the test writes the file.

use std::fmt::Write as _;

use crate::{
    keys::{self, Place, Setting},
    source::property,
};

/// Returns the reference page of every setting, in Markdown.
#[must_use]
pub fn settings_page() -> String {
    let mut page = String::from(
        "# Settings\n\n\
         <!-- Generated from config-core/src/keys.rs; UPDATE_REFERENCE=1 cargo test -p config-core writes it. -->\n\n\
         Precedence, strongest first: `-D` options in `JAVA_TOOL_OPTIONS`, the environment, the [settings file](settings-file.md), built-in defaults.\n\
         The fixed part of a property name is compared without regard to case and dashes; a label key keeps its case.\n",
    );
    for (place, title) in [
        (Place::Platform, "Platform: environment of the api-server"),
        (Place::Workspace, "Workspace: variables of category `ENV`"),
        (Place::Executor, "Executor: environment of its container"),
    ] {
        let _ = writeln!(page, "\n## {title}");
        for setting in keys::settings().filter(|setting| setting.place == place) {
            describe(&mut page, setting);
        }
    }
    page.push('\n');
    page.push_str(include_str!("../differences.md"));
    page
}

/// Returns the reference page of the settings file, in Markdown.
#[must_use]
pub fn settings_file_page() -> String {
    let mut page = String::from(
        "# Settings file\n\n\
         <!-- Generated from config-core/src/reference.rs; UPDATE_REFERENCE=1 cargo test -p config-core writes it. -->\n\n\
         A TOML file of the platform operator: `api-server serve --settings FILE`. It says the same as the environment and is\n\
         weaker than it; beside that it has variables for workspaces. Every key may be left out. An unknown key, a value that\n\
         is not text and a variable that a workspace could not read keep the server from starting; each is told with its line.\n\n",
    );
    let _ = writeln!(page, "```toml\n{}```\n", include_str!("../examples/settings.toml"));
    page.push_str("| key | says the same as |\n|---|---|\n");
    for property in property::PROPERTIES {
        let _ = writeln!(page, "| `{property}` | `-D{}{property}` |", keys::PROPERTY_PREFIX);
    }
    page.push_str(
        "| `variables.<NAME>` | a workspace variable of that name, in every workspace |\n\
         | `organizations.<id or name>.variables.<NAME>` | the same, in the workspaces of one organization |\n\n\
         Variables, strongest first: workspace, global ones of the organization, collections,\n\
         `organizations.<id>.variables`, `organizations.<name>.variables`, `variables`. A name with the suffix `_PLAN` or\n\
         `_APPLY` counts for steps of that kind and wins there, whatever layer it comes from. The names are those of the\n\
         [workspace variables](settings.md#workspace-variables-of-category-env); others belong into a workspace.\n",
    );
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
        let _ = writeln!(page, "- permission: only where the operator's policy allows it");
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
