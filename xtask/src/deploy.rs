//! `cargo xtask deploy` and `cargo xtask undeploy`: the api-server in a cluster.
//!
//! Everything uses `kubectl`: every operator has it, it supports every way to log in to a cluster, and its
//! commands can be repeated by hand. [`crate::manifests`] renders the objects. In reading order: [`run`],
//! [`secrets`], [`rollout`], [`undeploy`].

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
What `cargo xtask deploy` would apply. The values of the Secrets are not shown: those of \
ephemeral-agents-api are created
at the first deployment and kept by later ones, those of the executors are set by the operator.";

#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    settings: Settings,
    /// Print what would be applied, without a cluster
    #[arg(long)]
    dry_run: bool,
    /// Print what would change in the cluster, and change nothing
    #[arg(long, conflicts_with = "dry_run")]
    diff: bool,
    /// Overwrite fields that other clients have changed
    #[arg(long)]
    force_conflicts: bool,
    /// Do not wait until the api-server is ready
    #[arg(long)]
    no_wait: bool,
    /// Deploy to the current context without a question
    #[arg(long)]
    yes: bool,
    /// Timeout of that wait
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    timeout: u64,
}

/// Applies all objects, and waits until the api-server is ready.
pub(crate) fn run(shell: &Shell, args: &Args) -> anyhow::Result<()> {
    let settings = &args.settings;
    settings.check()?;
    let objects = manifests::objects(settings);
    if args.dry_run {
        shell::line(yaml::documents(HEAD, &objects)?.trim_end());
        return Ok(());
    }
    let kubectl = cluster::connect(shell, &args.target)?;
    if !args.diff && !args.yes && !args.target.is_chosen() && Shell::can_ask() {
        let question = format!("deploy to the current context, {:?}?", kubectl.context());
        ensure!(Shell::confirm(&question), "nothing was deployed");
    }
    if args.diff {
        return diff(&kubectl, settings, &group(objects).others);
    }
    install(&kubectl, settings, args.force_conflicts)?;
    if args.no_wait {
        shell::note("not waiting for the api-server (--no-wait)");
        return Ok(());
    }
    shell::title("Waiting for the api-server");
    rollout::wait(&kubectl, &settings.namespace, Duration::from_secs(args.timeout))?;
    print_access(&kubectl, settings);
    Ok(())
}

/// The objects, grouped by how they are applied.
struct ObjectGroups {
    namespace: Vec<Value>,
    secrets: Vec<Value>,
    others: Vec<Value>,
}

fn group(objects: Vec<Value>) -> ObjectGroups {
    let (secrets, others): (Vec<_>, Vec<_>) =
        objects.into_iter().partition(|object| object["kind"] == "Secret");
    let (namespace, others) = others.into_iter().partition(|object| object["kind"] == "Namespace");
    ObjectGroups { namespace, secrets, others }
}

/// Applies all objects.
///
/// # Errors
/// The cluster refuses an object or does not answer.
pub(crate) fn install(kubectl: &Kubectl<'_>, settings: &Settings, force: bool) -> anyhow::Result<()> {
    let ObjectGroups { namespace, secrets, others } = group(manifests::objects(settings));
    let is_new = !cluster::has_namespace(kubectl, &settings.namespace)?;
    shell::title(&format!("Applying to namespace {:?}", settings.namespace));
    // A namespace that another client created keeps its labels, and undeploy does not delete it.
    if is_new || cluster::is_ours(kubectl, &format!("namespace/{}", settings.namespace), None)? {
        apply(kubectl, &namespace, force)?;
    }
    secrets::ensure(kubectl, &settings.namespace, &secrets)?;
    apply(kubectl, &others, force)?;
    if !settings.extended_role {
        delete_extended_role(kubectl, settings)?;
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
        "; other clients have changed these fields: --diff prints them, --force-conflicts overwrites them"
    } else {
        ""
    };
    bail!("kubectl cannot apply all objects: {}{hint}", answer.stderr.trim());
}

/// Deletes the role of an earlier deployment with `--extended-role`.
fn delete_extended_role(kubectl: &Kubectl<'_>, settings: &Settings) -> anyhow::Result<()> {
    for reference in manifests::optional_objects(settings).iter().map(manifests::reference) {
        if cluster::is_ours(kubectl, &reference, Some(&settings.namespace))? {
            kubectl.run(&["delete", &reference, "--namespace", &settings.namespace], None)?;
            shell::success(&format!("{reference} deleted"));
        }
    }
    Ok(())
}

/// Prints the difference, without Secrets: their values do not change.
fn diff(kubectl: &Kubectl<'_>, settings: &Settings, objects: &[Value]) -> anyhow::Result<()> {
    if !cluster::has_namespace(kubectl, &settings.namespace)? {
        shell::note(&format!(
            "namespace {:?} does not exist; all objects would be created",
            settings.namespace
        ));
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
        _ => bail!("kubectl cannot compare: {}", answer.stderr.trim()),
    }
    Ok(())
}

fn print_access(kubectl: &Kubectl<'_>, settings: &Settings) {
    let namespace = &settings.namespace;
    shell::success("the api-server is ready");
    shell::note("to reach it from this machine, and to get the token for `Authorization: Bearer`:");
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

/// Parses the output of kubectl.
pub(crate) fn json(text: &str) -> anyhow::Result<Value> {
    serde_json::from_str(text).context("kubectl did not print JSON")
}
