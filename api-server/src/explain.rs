//! `api-server explain`: the Kubernetes Job of a workspace and the origins of its fields, without a server,
//! a database or a cluster.
//!
//! Reads files and prints. What lies between is pure: `env_file` and `payload` read texts, `inputs` puts them
//! together for `job-spec`, `view` writes the answer.

use std::{
    fs,
    io::{self, IsTerminal, Read as _, Write},
    path::Path,
    process::ExitCode,
};

use anyhow::{Context as _, bail};
use config_core::EnvSnapshot;

use crate::{
    cli::Explain,
    operator_files::{read_policy, read_settings},
};

mod env_file;
mod inputs;
mod payload;
mod view;

use inputs::{Inputs, Texts};
use view::Colours;

const STANDARD_INPUT: &str = "-";

/// Runs the command.
///
/// # Errors
/// Files that cannot be read or used. A refused variable is not an error: it is printed,
/// and the exit code is 1.
pub(crate) fn run(options: &Explain, environment: &EnvSnapshot) -> anyhow::Result<ExitCode> {
    let settings = read_settings(options.settings.as_deref(), environment)?;
    let policy = read_policy(options.policy.as_deref())?;
    let inputs = Inputs::new(read_texts(options)?, settings, policy, &options.organization)?;
    let preview = inputs.preview(options.profile.into());
    let (out, err) = (io::stdout(), io::stderr());
    let colours = Colours { out: has_colours(&out, environment), err: has_colours(&err, environment) };
    let shown = view::show(options.format, &preview, colours)?;
    print(out, &shown.out)?;
    print(err, &shown.err)?;
    Ok(if preview.refused.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn read_texts(options: &Explain) -> anyhow::Result<Texts> {
    let Explain { workspace_env, global_env, collection_env, job, step_type, .. } = options;
    let all = [workspace_env, global_env, job].into_iter().flatten().chain(collection_env);
    if all.filter(|path| path.as_os_str() == STANDARD_INPUT).count() > 1 {
        bail!("standard input can be read once; only one FILE can be `-`");
    }
    let read = |path: &Path| Ok((path.display().to_string(), read(path)?));
    Ok(Texts {
        workspace: workspace_env.as_deref().map(read).transpose()?,
        global: global_env.as_deref().map(read).transpose()?,
        collections: collection_env.iter().map(|path| read(path)).collect::<anyhow::Result<_>>()?,
        job: job.as_deref().map(read).transpose()?,
        step_type: *step_type,
    })
}

fn read(path: &Path) -> anyhow::Result<String> {
    if path.as_os_str() == STANDARD_INPUT {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text).context("cannot read standard input")?;
        return Ok(text);
    }
    fs::read_to_string(path).with_context(|| format!("cannot read {path:?}"))
}

/// By <https://no-color.org>, and as terminals without colours are known.
fn has_colours(stream: &impl IsTerminal, environment: &EnvSnapshot) -> bool {
    stream.is_terminal()
        && environment.get("NO_COLOR").is_none_or(str::is_empty)
        && environment.get("TERM") != Some("dumb")
}

/// A reader that closes the pipe early, as `head` does, is not an error.
fn print(mut stream: impl Write, text: &str) -> anyhow::Result<()> {
    match stream.write_all(text.as_bytes()).and_then(|()| stream.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(error).context("cannot write the answer")
        }
        _ => Ok(()),
    }
}
