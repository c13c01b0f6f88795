//! The environment of scripts: that of terraform, and the variables that Terrakube documents.

use std::{collections::BTreeMap, fs, path::Path};

use job_spec::environment as checks;

use super::tools::Tools;
use crate::{
    child::environment::MAX_ENTRY_BYTES,
    phase::{
        context::Context,
        fetch::address::{self, Source},
    },
};

/// The largest file of passed variables.
const MAX_PASSED_BYTES: u64 = 1024 * 1024;

/// Builds the environment of scripts: documented variables, then that of terraform with the variables of the
/// workspace, then the input variables under their plain names.
pub(super) fn of_scripts(
    context: &Context<'_>,
    folder: &Path,
    terraform: &BTreeMap<String, String>,
    program: Option<&Path>,
    tools: &Tools,
) -> BTreeMap<String, String> {
    let payload = context.payload();
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let source = match address::locate(payload, |_| false) {
        // Without credentials.
        Ok(Source::Git(repository)) => repository.url,
        _ => payload.source.clone(),
    };
    let mut env = BTreeMap::new();
    for (name, value) in [
        ("bashToolsDirectory", text(&tools.bin)),
        ("terrakubeToolsRepository", text(&tools.repository)),
        ("workingDirectory", text(folder)),
        ("organizationId", payload.organization_id.clone()),
        ("workspaceId", payload.workspace_id.clone()),
        ("jobId", payload.job_id.clone()),
        ("stepId", payload.step_id.clone()),
        ("terraformVersion", payload.terraform_version.clone()),
        ("source", source),
        ("branch", payload.branch.clone()),
        ("vcsType", payload.vcs_type.clone()),
        ("terraformOutput", String::new()),
    ] {
        env.insert(name.to_owned(), value);
    }
    env.extend(terraform.iter().map(|(name, value)| (name.clone(), value.clone())));
    for (name, value) in &payload.variables {
        // A variable of terraform must not replace what programs need.
        if !terraform.contains_key(name) {
            insert(context, &mut env, name, value.clone());
        }
    }
    let own = terraform.get("PATH").map(String::as_str).unwrap_or_default();
    let program = program.and_then(Path::parent).map(text);
    let folders =
        program.into_iter().chain([own.to_owned()]).chain(tools.folders.iter().map(|path| text(path)));
    let folders: Vec<String> = folders.filter(|folder| !folder.is_empty()).collect();
    env.insert("PATH".to_owned(), folders.join(":"));
    env
}

/// Adds a variable, if an environment can hold it.
pub(super) fn insert(context: &Context<'_>, env: &mut BTreeMap<String, String>, name: &str, value: String) {
    let is_name = !name.is_empty() && !name.contains(['=', '\0']) && !value.contains('\0');
    let fits = name.len() + value.len() + 2 <= MAX_ENTRY_BYTES;
    let is_harmless = checks::check([(name, value.as_str())]).is_empty();
    if is_name && fits && is_harmless {
        env.insert(name.to_owned(), value);
    } else {
        let reason = if fits { "it would change what a script does" } else { "it is too large" };
        context.log.note(&format!("(scripts run without variable {name:?}: {reason})"));
    }
}

/// Adds the variables that a script has written into a file for the scripts after it: `name=value` lines.
pub(super) fn read_passed(context: &Context<'_>, env: &mut BTreeMap<String, String>, path: &Path) {
    let is_file =
        fs::symlink_metadata(path).is_ok_and(|found| found.is_file() && found.len() <= MAX_PASSED_BYTES);
    let Ok(text) = (if is_file { fs::read_to_string(path) } else { return }) else { return };
    for line in text.lines() {
        match line.split_once('=') {
            Some((name, value)) => insert(context, env, name.trim(), value.to_owned()),
            None if line.trim().is_empty() => {}
            None => context.log.note("(a line without \"=\" in .terrakube_temp_env is skipped)"),
        }
    }
}
