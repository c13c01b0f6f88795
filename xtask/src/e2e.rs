//! `cargo xtask e2e`: the backend and a real cluster, in a namespace of their own, with exactly the documented rights.
//!
//! Makes the namespace, the account and its roles, lets `k8s-backend/examples/e2e` act out its scenarios as that account,
//! once with the documented role and once with the extended one, prints a table, and removes everything, also after Ctrl-C.
//! What is acted and what must come of it stands there; here is only what goes before and after.

mod account;
mod player;
mod report;

use anyhow::{Context as _, bail};
use clap::ValueEnum;

use self::{account::Account, report::Outcome};
use crate::{
    deploy::{cluster, kubectl::Kubectl},
    environment::Environment,
    manifests::Settings,
};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    target: cluster::Target,
    /// Image with a shell that the nodes have or can pull [default: the executor's image of this version]
    #[arg(long)]
    image: Option<String>,
    /// What the names of the namespaces begin with
    #[arg(long, value_name = "TEXT", default_value = "ephemeral-agents-e2e")]
    namespace_prefix: String,
    /// Only with this role
    #[arg(long, value_enum)]
    role: Option<Role>,
    /// Only scenarios whose name holds this
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Scenarios at a time
    #[arg(long, value_name = "COUNT", default_value_t = 3)]
    parallel: usize,
    /// Leave the namespaces as they are at the end
    #[arg(long)]
    keep: bool,
}

/// What the account may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Role {
    /// The documented role: Kubernetes Jobs, and nothing else
    Seed,
    /// Pods and events may be read as well, Secrets made
    Extended,
}

impl Role {
    const fn name(self) -> &'static str {
        match self {
            Self::Seed => "seed",
            Self::Extended => "extended",
        }
    }
}

/// Plays all scenarios with both roles; fails if one did not go as it should.
pub(crate) fn run(environment: &Environment, args: &Args) -> anyhow::Result<()> {
    let kubectl = cluster::reach(environment, &args.target)?;
    let image = args.image.clone().unwrap_or_else(|| Settings::defaults().executor_image);
    environment.ui.title("Building the player");
    let player = player::build(environment)?;
    let roles = args.role.map_or_else(|| vec![Role::Seed, Role::Extended], |role| vec![role]);
    let mut outcomes = Vec::new();
    let mut result = Ok(());
    for role in roles {
        result = act(&kubectl, args, role, &image, &player, &mut outcomes);
        if result.is_err() {
            break;
        }
    }
    environment.ui.title("Scenarios");
    environment.ui.line(&report::table(&outcomes, environment.ui.colours()));
    result?;
    let failed = outcomes.iter().filter(|(_, outcome)| !outcome.passed).count();
    if outcomes.is_empty() {
        bail!("no scenario has this name: --only {:?}", args.only.as_deref().unwrap_or_default());
    }
    if failed > 0 {
        bail!("{failed} of {} scenarios did not go as they should", outcomes.len());
    }
    environment.ui.good(&format!("all {} scenarios went as they should", outcomes.len()));
    Ok(())
}

/// Makes a namespace, plays in it, and removes it whatever happened.
fn act(
    kubectl: &Kubectl<'_>,
    args: &Args,
    role: Role,
    image: &str,
    player: &std::path::Path,
    outcomes: &mut Vec<(Role, Outcome)>,
) -> anyhow::Result<()> {
    let environment = kubectl.environment;
    let namespace = format!("{}-{}-{}", args.namespace_prefix, role.name(), random()?);
    environment.ui.title(&format!("Role {:?}, namespace {namespace:?}", role.name()));
    let result = Account::make(kubectl, &namespace, role).and_then(|account| {
        let parallel = args.parallel.to_string();
        let mut arguments = vec!["--namespace", &namespace, "--image", image, "--role", role.name()];
        arguments.extend(["--context", kubectl.context(), "--parallel", &parallel]);
        arguments.extend(args.only.iter().flat_map(|only| ["--only", only]));
        player::play(environment, player, account.kubeconfig(), &arguments, |outcome| {
            environment.ui.quiet();
            let line = format!("{} ({:.1} s): {}", outcome.scenario, outcome.seconds, outcome.text);
            if outcome.passed {
                environment.ui.good(&line);
            } else {
                environment.ui.warning(&line);
            }
            outcomes.push((role, outcome));
            environment.ui.phase("playing");
        })
    });
    environment.ui.quiet();
    if args.keep {
        environment.ui.note(&format!("namespace {namespace:?} stays (--keep)"));
        return result;
    }
    result.and(remove(kubectl, &namespace))
}

/// Removes a namespace, also when this process was asked to stop: it is ours, and nobody else knows of it.
fn remove(kubectl: &Kubectl<'_>, namespace: &str) -> anyhow::Result<()> {
    let undisturbed = kubectl.environment.undisturbed();
    let kubectl = Kubectl { environment: &undisturbed, options: kubectl.options.clone() };
    kubectl
        .tell(&["delete", "namespace", namespace, "--ignore-not-found", "--timeout=180s"], None)
        .map(drop)
        .with_context(|| format!("namespace {namespace:?} may be left"))
}

fn random() -> anyhow::Result<String> {
    let mut bytes = [0; 3];
    getrandom::fill(&mut bytes).context("the operating system has no random bytes")?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat())
}
