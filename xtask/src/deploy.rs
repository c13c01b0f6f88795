//! `cargo xtask deploy` and `cargo xtask undeploy`: the api-server in a cluster, and out of it again.
//!
//! Everything goes through `kubectl`, which every operator has: it knows every way to log in to a cluster, what it is told
//! can be typed again by hand, and this program needs neither a client nor an async runtime for it. What is applied is
//! said by [`crate::manifests`] alone. Reading order: [`run`], [`secrets`], [`rollout`] (with [`diagnosis`]), [`undeploy`].

pub(crate) mod cluster;
mod diagnosis;
pub(crate) mod kubectl;
pub(crate) mod rollout;
mod secrets;
pub(crate) mod undeploy;

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;

use self::{cluster::Target, kubectl::Kubectl};
use crate::{
    environment::Environment,
    manifests::{self, SERVER, Settings, yaml},
    ui::Ui,
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
pub(crate) fn run(environment: &Environment, args: &Args) -> anyhow::Result<()> {
    let settings = &args.settings;
    settings.check()?;
    let objects = manifests::objects(settings);
    if args.dry_run {
        environment.ui.line(yaml::documents(HEAD, &objects)?.trim_end());
        return Ok(());
    }
    let kubectl = cluster::reach(environment, &args.target)?;
    if !args.diff && !args.yes && !args.target.is_chosen() && Ui::can_ask() {
        let question = format!("deploy to the current context, {:?}?", kubectl.context());
        ensure!(environment.ui.confirm(&question, &environment.interrupt)?, "nothing was deployed");
    }
    if args.diff {
        return diff(&kubectl, settings, &apart(objects).others);
    }
    install(&kubectl, settings, args.force_conflicts)?;
    if args.no_wait {
        environment.ui.note("not waiting for the api-server (--no-wait)");
        return Ok(());
    }
    environment.ui.title("Waiting for the api-server");
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
    kubectl.environment.ui.title(&format!("Applying to namespace {:?}", settings.namespace));
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
    let answer = kubectl.said(&arguments, Some(text))?;
    for line in answer.output.lines() {
        kubectl.environment.ui.good(line.trim_end_matches(" serverside-applied"));
    }
    if answer.status.success() {
        return Ok(());
    }
    let hint = if answer.errors.contains("--force-conflicts") {
        "; somebody else has changed these fields since: --diff shows how, --force-conflicts takes them over"
    } else {
        ""
    };
    bail!("kubectl could not apply everything: {}{hint}", answer.errors.trim());
}

/// Removes the rights that an earlier deployment with `--extended-role` has given.
fn take_away(kubectl: &Kubectl<'_>, settings: &Settings) -> anyhow::Result<()> {
    for reference in manifests::optional_objects(settings).iter().map(manifests::reference) {
        if cluster::is_ours(kubectl, &reference, Some(&settings.namespace))? {
            kubectl.tell(&["delete", &reference, "--namespace", &settings.namespace], None)?;
            kubectl.environment.ui.good(&format!("{reference} removed"));
        }
    }
    Ok(())
}

/// Shows the difference; Secrets are left out, whose values stay as they are.
fn diff(kubectl: &Kubectl<'_>, settings: &Settings, objects: &[Value]) -> anyhow::Result<()> {
    let ui = &kubectl.environment.ui;
    if !cluster::has_namespace(kubectl, &settings.namespace)? {
        ui.note(&format!("namespace {:?} is not there; everything would be made", settings.namespace));
        for object in objects {
            ui.line(&format!("+ {}", manifests::reference(object)));
        }
        return Ok(());
    }
    let text = yaml::documents("", objects)?;
    let answer = kubectl.said(&["diff", "--server-side", kubectl::FIELD_MANAGER, "-f", "-"], Some(text))?;
    match answer.status.code() {
        Some(0) => ui.good("nothing would change"),
        Some(1) => answer.output.lines().for_each(|line| ui.line(line)),
        _ => bail!("kubectl could not compare: {}", answer.errors.trim()),
    }
    Ok(())
}

fn say_how_to_reach(kubectl: &Kubectl<'_>, settings: &Settings) {
    let ui = &kubectl.environment.ui;
    let namespace = &settings.namespace;
    ui.good("the api-server is ready");
    ui.note("to reach it from here, and for the token of `Authorization: Bearer`:");
    ui.line(&format!(
        "  {}",
        kubectl.typed(&["-n", namespace, "port-forward", &format!("service/{SERVER}"), "8080:8080"])
    ));
    let token =
        format!("go-template='{{{{index .data \"{}\" | base64decode}}}}'", manifests::secrets::ADMIN_TOKEN);
    ui.line(&format!(
        "  {}",
        kubectl.typed(&["-n", namespace, "get", &format!("secret/{SERVER}"), "-o", &token])
    ));
}

/// Reads an answer in JSON.
pub(crate) fn json(text: &str) -> anyhow::Result<Value> {
    serde_json::from_str(text).context("kubectl answered something else than JSON")
}
