//! `cargo xtask e2e`: the backend and a real cluster, in a namespace of their own, with exactly the documented rights.
//!
//! Makes the namespace, the account and its roles, lets `k8s-backend/examples/e2e` act out its scenarios as that account,
//! once with the documented role and once with the extended one, prints a table, and removes everything, also after Ctrl-C.
//! With `--full` it plays the main job too, see [`full`].
//! What is acted and what must come of it stands there; here is only what goes before and after.

mod account;
mod full;
mod player;
mod report;

use anyhow::{Context as _, bail};
use clap::ValueEnum;

use self::{account::Account, report::Outcome};
use crate::{
    deploy::{cluster, kubectl::Kubectl},
    environment::Environment,
    interrupt::Interrupted,
    manifests::Settings,
    product::tool,
    test::{self, Programs},
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
    /// Only scenarios whose name holds this; `main-job` is the main job alone
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Scenarios at a time
    #[arg(long, value_name = "COUNT", default_value_t = 3)]
    parallel: usize,
    /// Leave the namespaces as they are at the end
    #[arg(long)]
    keep: bool,
    #[command(flatten)]
    main_job: full::Args,
}

/// What `--only` says for the main job.
const MAIN_JOB: &str = "main-job";

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

/// Plays everything that was asked for; fails if something did not go as it should.
pub(crate) fn run(environment: &Environment, args: &Args) -> anyhow::Result<()> {
    args.main_job.check()?;
    if args.main_job.local {
        // Asked before anything is built: who lacks it should not wait to hear so.
        tool::find(environment)?;
        environment.ui.title("Building the api-server, the executor and a cluster of processes");
        return rehearse(environment, &test::build_with_cluster(environment)?);
    }
    let kubectl = cluster::reach(environment, &args.target)?;
    let image = args.image.clone().unwrap_or_else(|| Settings::defaults().executor_image);
    let scenarios = if args.main_job.full && args.only.as_deref() == Some(MAIN_JOB) {
        Ok(())
    } else {
        play_scenarios(&kubectl, args, &image)
    };
    let is_wanted = args.only.as_deref().is_none_or(|only| only == MAIN_JOB);
    if !args.main_job.full || !is_wanted || is_interrupted(&scenarios) {
        return scenarios;
    }
    scenarios.and(play_main_job(&kubectl, args, &image))
}

/// Plays the main job on this machine, with programs that are built already.
pub(crate) fn rehearse(environment: &Environment, programs: &Programs) -> anyhow::Result<()> {
    tell_stories(environment, &full::rehearse(environment, programs)?)
}

fn is_interrupted(result: &anyhow::Result<()>) -> bool {
    result.as_ref().is_err_and(anyhow::Error::is::<Interrupted>)
}

/// Plays all scenarios of the backend, with both roles.
fn play_scenarios(kubectl: &Kubectl<'_>, args: &Args, image: &str) -> anyhow::Result<()> {
    let environment = kubectl.environment;
    environment.ui.title("Building the player");
    let player = player::build(environment)?;
    let roles = args.role.map_or_else(|| vec![Role::Seed, Role::Extended], |role| vec![role]);
    let mut outcomes = Vec::new();
    let mut result = Ok(());
    for role in roles {
        result = act(kubectl, args, role, image, &player, &mut outcomes);
        if result.is_err() {
            break;
        }
    }
    environment.ui.title("Scenarios");
    environment.ui.line(&report::table(&outcomes, environment.ui.colours()));
    result?;
    if outcomes.is_empty() {
        bail!("no scenario has this name: --only {:?}", args.only.as_deref().unwrap_or_default());
    }
    let failed = outcomes.iter().filter(|(_, outcome)| !outcome.passed).count();
    conclude(environment, "scenarios", failed, outcomes.len())
}

/// Plays the main job in a namespace of its own.
fn play_main_job(kubectl: &Kubectl<'_>, args: &Args, image: &str) -> anyhow::Result<()> {
    let role = args.role.unwrap_or(Role::Seed);
    let namespace = format!("{}-full-{}", args.namespace_prefix, random()?);
    kubectl.environment.ui.title(&format!("The main job, role {:?}, namespace {namespace:?}", role.name()));
    let result = full::on_cluster(kubectl, &args.main_job, &namespace, image, role);
    let removed = clean_up(kubectl, args, &namespace);
    let told = result.and_then(|outcomes| tell_stories(kubectl.environment, &outcomes));
    told.and(removed)
}

fn tell_stories(environment: &Environment, outcomes: &[Outcome]) -> anyhow::Result<()> {
    environment.ui.title("The main job");
    environment.ui.line(&report::stories(outcomes, environment.ui.colours()));
    let failed = outcomes.iter().filter(|outcome| !outcome.passed).count();
    conclude(environment, "stories", failed, outcomes.len())
}

fn conclude(environment: &Environment, what: &str, failed: usize, all: usize) -> anyhow::Result<()> {
    if failed > 0 {
        bail!("{failed} of {all} {what} did not go as they should");
    }
    environment.ui.good(&format!("all {all} {what} went as they should"));
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
    let removed = clean_up(kubectl, args, &namespace);
    if let (Err(_), Err(left)) = (&result, &removed) {
        environment.ui.warning(&format!("{left:#}"));
    }
    result.and(removed)
}

fn clean_up(kubectl: &Kubectl<'_>, args: &Args, namespace: &str) -> anyhow::Result<()> {
    if args.keep {
        kubectl.environment.ui.note(&format!("namespace {namespace:?} stays (--keep)"));
        return Ok(());
    }
    remove(kubectl, namespace)
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
