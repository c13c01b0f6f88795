//! Phase 5: writes what terraform needs into the work directory and runs `init`.

pub(crate) mod backend;
mod plugin_cache;

use std::{
    collections::BTreeMap,
    ffi::OsString,
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use secrecy::SecretString;
use url::Url;

use self::{
    backend::{BackendError, INIT_ARGUMENTS},
    plugin_cache::PluginCache,
};
use super::{
    context::Context,
    engine::Tool,
    fetch::address::{self, Access, Repository, Source},
};
use crate::{
    child::{
        captured::run_captured,
        command_line::init_args,
        process::{Exit, Invocation, ProcessError, run},
        ssh_key::write_key,
    },
    work_paths::{WorkDir, write_private},
};

/// The longest time for an `init` whose output is not shown.
const INIT_TIMEOUT: Duration = Duration::from_hours(2);

/// The providers that `init` has chosen.
const LOCK_FILE: &str = ".terraform.lock.hcl";

/// The work directory could not be initialized.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InitError {
    #[error("could not write {what}")]
    Write { what: &'static str, source: io::Error },
    #[error(transparent)]
    Backend(#[from] BackendError),
    #[error("{command} failed with {exit}{through}; see its error message in the log")]
    Failed {
        command: String,
        exit: Exit,
        /// The proxy of most downloads.
        through: String,
    },
    #[error("could not prepare the plugin cache {path:?}")]
    PluginCache { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Process(#[from] ProcessError),
}

/// Writes the backend file and the plan file, runs `init`, and checks that the backend in use is ours.
pub(crate) async fn init(
    context: &Context<'_>,
    dir: &WorkDir,
    folder: &Path,
    tool: &Tool,
    plan: Option<&[u8]>,
) -> Result<(), InitError> {
    let write_error = |what| move |source| InitError::Write { what, source };
    backend::check_environment(&tool.env)?;
    backend::prepare(folder, tool.engine)?;
    if let Some(plan) = plan {
        write_private(&dir.plan_file(), plan).map_err(write_error("the plan file"))?;
    }
    let mut env = tool.env.clone();
    if let Some(key) = module_key(context)
        && !env.contains_key("GIT_SSH_COMMAND")
    {
        let command =
            write_key(&dir.key_file("modules"), &key).map_err(write_error("the private key for modules"))?;
        env.insert("GIT_SSH_COMMAND".into(), command);
    }
    let cache = plugin_cache(&mut env, dir).await?;
    let command = format!("{} init", tool.engine.program());
    context.heading(&command);
    let mut args = init_args(context.options());
    if plan.is_some() && folder.join(LOCK_FILE).is_file() {
        keep_providers(context, &mut args, &mut env);
    }
    let call = Invocation { program: &tool.program, args, dir: folder, env: &env };
    let exit = if context.payload().show_header {
        run(&call, context.log, context.stop).await?
    } else {
        run_quietly(&call, context).await?
    };
    match exit {
        Exit::Code(0) => backend::verify(folder, tool.engine)?,
        exit => {
            let registry = Url::parse("https://registry.terraform.io/").ok();
            let proxy = registry.and_then(|url| context.proxies().shown_for(&url));
            let through = proxy.map_or_else(String::new, |proxy| format!(" with the proxy {proxy}"));
            return Err(InitError::Failed { command, exit, through });
        }
    }
    if let Some(cache) = cache {
        publish(context, dir, cache).await?;
    }
    Ok(())
}

/// Moves new providers to the shared cache. The links are needed as long as anything of the step runs.
async fn publish(context: &Context<'_>, dir: &WorkDir, cache: PluginCache) -> Result<(), InitError> {
    let (cache, published) = tokio::task::spawn_blocking(move || {
        let published = cache.publish();
        (cache, published)
    })
    .await
    .map_err(|error| InitError::PluginCache { path: PathBuf::new(), source: error.into() })?;
    match published {
        Ok(0) => {}
        Ok(count) => context.log.note(&format!("(providers added to the plugin cache: {count})")),
        Err(error) => context.log.note(&format!("(the plugin cache could not be written: {error})")),
    }
    dir.keep(cache);
    Ok(())
}

/// Puts a cache of this step in place of the shared one.
async fn plugin_cache(
    env: &mut BTreeMap<String, String>,
    dir: &WorkDir,
) -> Result<Option<PluginCache>, InitError> {
    let Some(shared) = env.get("TF_PLUGIN_CACHE_DIR").filter(|path| path.starts_with('/')) else {
        return Ok(None);
    };
    let (shared, private) = (PathBuf::from(shared), dir.plugin_cache());
    let path = shared.clone();
    let opened = tokio::task::spawn_blocking(move || PluginCache::open(&shared, &private)).await;
    let opened = opened.map_err(io::Error::from).and_then(|opened| opened);
    let cache = opened.map_err(|source| InitError::PluginCache { path, source })?;
    env.insert("TF_PLUGIN_CACHE_DIR".into(), cache.path().display().to_string());
    // Without it, terraform downloads a provider that no lock file names again, over the one that is there.
    env.entry("TF_PLUGIN_CACHE_MAY_BREAK_DEPENDENCY_LOCK_FILE".into()).or_insert_with(|| "true".into());
    Ok(Some(cache))
}

/// Runs `init` and shows its output only if it fails.
async fn run_quietly(call: &Invocation<'_>, context: &Context<'_>) -> Result<Exit, ProcessError> {
    let found = run_captured(call, None, context.stop, INIT_TIMEOUT).await?;
    let exit = found.exit.unwrap_or(Exit::NotSeen);
    if exit != Exit::Code(0) {
        for line in found.output.lines().chain(found.errors.lines()) {
            context.log.line(line.as_bytes());
        }
        context.log.flush();
    }
    Ok(exit)
}

/// Lets `init` of an apply use the providers of the plan, and no others: the plan file holds for these alone.
fn keep_providers(context: &Context<'_>, args: &mut Vec<OsString>, env: &mut BTreeMap<String, String>) {
    args.push("-lockfile=readonly".into());
    for name in INIT_ARGUMENTS {
        if let Some(words) = env.get_mut(*name)
            && let Some(kept) = without_upgrade(words)
        {
            context
                .log
                .note(&format!("(-upgrade of {name} is left out: an apply uses the providers of its plan)"));
            *words = kept;
        }
    }
}

/// Returns the words of a variable without `-upgrade`; `None` if it has none.
fn without_upgrade(words: &str) -> Option<String> {
    let is_upgrade = |word: &&str| matches!(word.trim_start_matches('-'), "upgrade" | "upgrade=true");
    words
        .split_whitespace()
        .any(|word| word.starts_with('-') && is_upgrade(&word))
        .then(|| words.split_whitespace().filter(|word| !is_upgrade(word)).collect::<Vec<_>>().join(" "))
}

/// Returns the key for modules in private repositories: that of the workspace, else that of its source.
fn module_key(context: &Context<'_>) -> Option<SecretString> {
    let payload = context.payload();
    let own = payload.module_ssh_key.as_deref().filter(|key| !key.trim().is_empty());
    own.map(SecretString::from).or_else(|| match address::locate(payload, |_| false) {
        Ok(Source::Git(Repository { access: Access::Key(key), .. })) => Some(key),
        _ => None,
    })
}
