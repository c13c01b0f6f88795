//! `cargo xtask deploy` and `cargo xtask undeploy`: the api-server in a cluster, and out of it again.
//!
//! Everything goes through `kubectl`, which every operator has: it knows every way to log in to a cluster, what it is told
//! can be typed again by hand, and this program needs neither a client nor an async runtime for it. What is applied is
//! said by [`crate::manifests`] alone. Reading order: [`run`], [`secrets`], [`rollout`] (with [`diagnosis`]), [`undeploy`].

pub(crate) mod cluster;
pub(crate) mod kubectl;
pub(crate) mod rollout;
mod secrets;
pub(crate) mod undeploy;

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;

use self::{cluster::Target, kubectl::Kubectl};
use crate::{
    manifests::{self, SERVER, Settings, yaml},
    shell::{self, Shell},
};

const HEAD: &str = "\
What `cargo xtask deploy` would apply. The values of the Secrets are not shown: those of ephemeral-agents-api are made at
the first deployment and kept afterwards, those of the executors are yours.";

#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    settings: Settings,
    /// Print what would be applied, and ask no cluster
    #[arg(long)]
    dry_run: bool,
    /// Show what would change in the cluster, and change nothing
    #[arg(long, conflicts_with = "dry_run")]
    diff: bool,
    /// Take fields over that somebody else has changed since
    #[arg(long)]
    force_conflicts: bool,
    /// Do not wait until the api-server is ready
    #[arg(long)]
    no_wait: bool,
    /// Deploy to the current context without a question
    #[arg(long)]
    yes: bool,
    /// How long to wait for that
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    timeout: u64,
}

/// Applies everything, and waits until the api-server is ready.
pub(crate) fn run(shell: &Shell, args: &Args) -> anyhow::Result<()> {
    let settings = &args.settings;
    settings.check()?;
    let objects = manifests::objects(settings);
    if args.dry_run {
        shell::line(yaml::documents(HEAD, &objects)?.trim_end());
        return Ok(());
    }
    let kubectl = cluster::reach(shell, &args.target)?;
    if !args.diff && !args.yes && !args.target.is_chosen() && Shell::can_ask() {
        let question = format!("deploy to the current context, {:?}?", kubectl.context());
        ensure!(Shell::confirm(&question), "nothing was deployed");
    }
    if args.diff {
        return diff(&kubectl, settings, &apart(objects).others);
    }
    install(&kubectl, settings, args.force_conflicts)?;
    if args.no_wait {
        shell::note("not waiting for the api-server (--no-wait)");
        return Ok(());
    }
    shell::title("Waiting for the api-server");
    rollout::wait(&kubectl, &settings.namespace, Duration::from_secs(args.timeout))?;
    say_how_to_reach(&kubectl, settings);
    Ok(())
}

/// The objects by what is done with them.
struct Apart {
    namespace: Vec<Value>,
    secrets: Vec<Value>,
    others: Vec<Value>,
}

fn apart(objects: Vec<Value>) -> Apart {
    let (secrets, others): (Vec<_>, Vec<_>) =
        objects.into_iter().partition(|object| object["kind"] == "Secret");
    let (namespace, others) = others.into_iter().partition(|object| object["kind"] == "Namespace");
    Apart { namespace, secrets, others }
}

/// Applies everything.
///
/// # Errors
/// The cluster refuses something, or cannot be asked.
pub(crate) fn install(kubectl: &Kubectl<'_>, settings: &Settings, force: bool) -> anyhow::Result<()> {
    let Apart { namespace, secrets, others } = apart(manifests::objects(settings));
    let is_new = !cluster::has_namespace(kubectl, &settings.namespace)?;
    shell::title(&format!("Applying to namespace {:?}", settings.namespace));
    // A namespace that somebody made is theirs: its labels are left alone, and undeploy leaves it.
    if is_new || cluster::is_ours(kubectl, &format!("namespace/{}", settings.namespace), None)? {
        apply(kubectl, &namespace, force)?;
    }
    secrets::ensure(kubectl, &settings.namespace, &secrets)?;
    apply(kubectl, &others, force)?;
    if !settings.extended_role {
        take_away(kubectl, settings)?;
    }
    Ok(())
}

fn apply(kubectl: &Kubectl<'_>, objects: &[Value], force: bool) -> anyhow::Result<()> {
    let text = yaml::documents("", objects)?;
    let mut arguments = vec!["apply", "--server-side", kubectl::FIELD_MANAGER, "-f", "-"];
    if force {
        arguments.push("--force-conflicts");
    }
    let answer = kubectl.output_logged(&arguments, Some(text))?;
    for line in answer.stdout.lines() {
        shell::success(line.trim_end_matches(" serverside-applied"));
    }
    if answer.status.success() {
        return Ok(());
    }
    let hint = if answer.stderr.contains("--force-conflicts") {
        "; somebody else has changed these fields since: --diff shows how, --force-conflicts takes them over"
    } else {
        ""
    };
    bail!("kubectl could not apply everything: {}{hint}", answer.stderr.trim());
}

/// Removes the rights that an earlier deployment with `--extended-role` has given.
fn take_away(kubectl: &Kubectl<'_>, settings: &Settings) -> anyhow::Result<()> {
    for reference in manifests::optional_objects(settings).iter().map(manifests::reference) {
        if cluster::is_ours(kubectl, &reference, Some(&settings.namespace))? {
            kubectl.run(&["delete", &reference, "--namespace", &settings.namespace], None)?;
            shell::success(&format!("{reference} removed"));
        }
    }
    Ok(())
}

/// Shows the difference; Secrets are left out, whose values stay as they are.
fn diff(kubectl: &Kubectl<'_>, settings: &Settings, objects: &[Value]) -> anyhow::Result<()> {
    if !cluster::has_namespace(kubectl, &settings.namespace)? {
        shell::note(&format!("namespace {:?} is not there; everything would be made", settings.namespace));
        for object in objects {
            shell::line(&format!("+ {}", manifests::reference(object)));
        }
        return Ok(());
    }
    let text = yaml::documents("", objects)?;
    let answer =
        kubectl.output_logged(&["diff", "--server-side", kubectl::FIELD_MANAGER, "-f", "-"], Some(text))?;
    match answer.status.code() {
        Some(0) => shell::success("nothing would change"),
        Some(1) => answer.stdout.lines().for_each(shell::line),
        _ => bail!("kubectl could not compare: {}", answer.stderr.trim()),
    }
    Ok(())
}

fn say_how_to_reach(kubectl: &Kubectl<'_>, settings: &Settings) {
    let namespace = &settings.namespace;
    shell::success("the api-server is ready");
    shell::note("to reach it from here, and for the token of `Authorization: Bearer`:");
    shell::line(&format!(
        "  {}",
        kubectl.command_line(&["-n", namespace, "port-forward", &format!("service/{SERVER}"), "8080:8080"])
    ));
    let token =
        format!("go-template='{{{{index .data \"{}\" | base64decode}}}}'", manifests::secrets::ADMIN_TOKEN);
    shell::line(&format!(
        "  {}",
        kubectl.command_line(&["-n", namespace, "get", &format!("secret/{SERVER}"), "-o", &token])
    ));
}

/// Reads an answer in JSON.
pub(crate) fn json(text: &str) -> anyhow::Result<Value> {
    serde_json::from_str(text).context("kubectl answered something else than JSON")
}
