//! The end-to-end scenarios: Kubernetes Jobs of the backend with two roles,
//! and the main job with the whole product.
//!
//! Everything is created in namespaces of their own, which are removed at the end, also after Ctrl-C.

use anyhow::{Context as _, bail};
use clap::Parser;

use crate::{
    account::Account,
    backend_scenarios,
    kubectl::Kubectl,
    main_job,
    report::{self, Outcome},
    role::Role,
    session::Session,
    signals::{self, is_interrupted, until_signal},
};

/// Runs scenarios on a real cluster, with the documented role and with the extended one.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask e2e")]
pub struct Args {
    /// Context of the kubeconfig [default: the current one]
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
    /// Image with a shell that the nodes have or can pull [default: the executor's image of this version]
    #[arg(long)]
    image: Option<String>,
    /// Prefix of the names of the namespaces
    #[arg(long, value_name = "TEXT", default_value = "ephemeral-agents-e2e")]
    namespace_prefix: String,
    /// Only with this role
    #[arg(long, value_enum)]
    role: Option<Role>,
    /// Only scenarios whose name contains this; `main-job` is the main job alone
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Scenarios at a time
    #[arg(long, value_name = "COUNT", default_value_t = 3)]
    parallel: usize,
    /// Leave the namespaces at the end
    #[arg(long)]
    keep: bool,
    #[command(flatten)]
    main_job: main_job::Args,
}

/// The value of `--only` for the main job.
const MAIN_JOB: &str = "main-job";

/// Runs the scenarios with the programs beside this one.
///
/// # Errors
/// A scenario failed, or the cluster cannot be used.
pub fn run(args: &Args) -> anyhow::Result<()> {
    args.main_job.check()?;
    signals::block_on(run_scenarios(args))
}

async fn run_scenarios(args: &Args) -> anyhow::Result<()> {
    let session = Session::new()?;
    if args.main_job.local {
        return report_main_job(&session, &main_job::run_locally(&session, &args.main_job).await?);
    }
    let kubectl = Kubectl::connect(&session.ui, args.context.as_deref(), "default").await?;
    let default_image = concat!("ephemeral-agents/executor:", env!("CARGO_PKG_VERSION"));
    let image = args.image.as_deref().unwrap_or(default_image);
    let is_main_job_wanted = args.main_job.full && args.only.as_deref().is_none_or(|only| only == MAIN_JOB);
    let scenarios = if is_main_job_wanted && args.only.is_some() {
        Ok(())
    } else {
        run_backend_scenarios(&session, &kubectl, args, image).await
    };
    if !is_main_job_wanted || is_interrupted(&scenarios) {
        return scenarios;
    }
    scenarios.and(run_main_job(&session, &kubectl, args, image).await)
}

async fn run_backend_scenarios(
    session: &Session,
    kubectl: &Kubectl,
    args: &Args,
    image: &str,
) -> anyhow::Result<()> {
    let ui = &session.ui;
    let roles = args.role.map_or_else(|| vec![Role::Seed, Role::Extended], |role| vec![role]);
    let mut outcomes = Vec::new();
    let mut result = Ok(());
    for role in roles {
        let namespace = format!("{}-{}-{}", args.namespace_prefix, role.name(), random()?);
        ui.title(&format!("Role {:?}, namespace {namespace:?}", role.name()));
        let kubectl = kubectl.in_namespace(&namespace);
        let ran = until_signal(async {
            let account = Account::create(session, &kubectl, role).await?;
            let selection =
                backend_scenarios::Selection { only: args.only.as_deref(), parallel: args.parallel };
            let backend = backend_scenarios::connect(account.kubeconfig(), &namespace).await?;
            backend_scenarios::run(backend, &kubectl, image, role, &selection, |outcome| {
                ui.clear_progress();
                outcome.print(ui);
                outcomes.push((role, outcome));
                ui.progress("running scenarios");
            })
            .await
        })
        .await;
        result = clean_up(session, &kubectl, args, ran).await;
        if result.is_err() {
            break;
        }
    }
    ui.title("Scenarios");
    ui.line(&report::role_table(&outcomes, ui.colors));
    result?;
    if outcomes.is_empty() {
        bail!("no scenario has this name: --only {:?}", args.only.as_deref().unwrap_or_default());
    }
    summarize(session, outcomes.iter().map(|(_, outcome)| outcome))
}

async fn run_main_job(session: &Session, kubectl: &Kubectl, args: &Args, image: &str) -> anyhow::Result<()> {
    let role = args.role.unwrap_or(Role::Seed);
    let namespace = format!("{}-full-{}", args.namespace_prefix, random()?);
    session.ui.title(&format!("The main job, role {:?}, namespace {namespace:?}", role.name()));
    let kubectl = kubectl.in_namespace(&namespace);
    let outcomes = main_job::run_on_cluster(session, &kubectl, &args.main_job, image, role).await;
    let reported = outcomes.and_then(|outcomes| report_main_job(session, &outcomes));
    clean_up(session, &kubectl, args, reported).await
}

fn report_main_job(session: &Session, outcomes: &[Outcome]) -> anyhow::Result<()> {
    session.ui.title("The main job");
    session.ui.line(&report::table(outcomes, session.ui.colors));
    summarize(session, outcomes.iter())
}

fn summarize<'a>(
    session: &Session,
    outcomes: impl ExactSizeIterator<Item = &'a Outcome>,
) -> anyhow::Result<()> {
    let count = outcomes.len();
    let failed = outcomes.filter(|outcome| !outcome.is_passed()).count();
    if failed > 0 {
        bail!("{failed} of {count} scenarios failed");
    }
    session.ui.success(&format!("all {count} scenarios passed"));
    Ok(())
}

/// Removes the namespace of `kubectl`, whatever the result of the scenarios is.
async fn clean_up(
    session: &Session,
    kubectl: &Kubectl,
    args: &Args,
    result: anyhow::Result<()>,
) -> anyhow::Result<()> {
    let (ui, namespace) = (&session.ui, kubectl.namespace.as_str());
    ui.clear_progress();
    if args.keep {
        ui.note(&format!("namespace {namespace:?} stays (--keep)"));
        return result;
    }
    let delete = ["delete", "namespace", namespace, "--ignore-not-found", "--timeout=180s"];
    let removed = kubectl.run_printed(ui, &delete, None).await;
    let removed = removed.map(drop).with_context(|| format!("namespace {namespace:?} may be left"));
    if let (Err(_), Err(left)) = (&result, &removed) {
        ui.warning(&format!("{left:#}"));
    }
    result.and(removed)
}

fn random() -> anyhow::Result<String> {
    let mut bytes = [0; 3];
    getrandom::fill(&mut bytes).context("the operating system has no random bytes")?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat())
}
