//! A hostile module, run for real: what code inside a step reaches of the executor and of the api-server.
//! `docs/security.md` has the same table.

use std::collections::BTreeMap;

use job_spec::{StepType, attempt_api::StepOutcome};

use crate::support::{Bench, have};

/// Code of the module that runs in an apply.
const MODULE: &str = r#"
resource "terraform_data" "hostile" {
  provisioner "local-exec" {
    command = "exec sh ./hostile.sh"
  }
}
"#;

/// A plan runs code of the module in providers and data sources. This runs it where those run, as a child of
/// the process that the executor has started.
const DURING_PLAN: &str =
    r#"if [ "$1" = plan ]; then "$REAL" "$@"; code=$?; sh ./hostile.sh; exit $code; fi"#;

const STATE: &str =
    r#"{"version":4,"terraform_version":"1.5.0","serial":9,"lineage":"theirs","outputs":{},"resources":[]}"#;

/// Runs a step with the hostile script and returns what it printed.
async fn tried(bench: &mut Bench, step: StepType) -> BTreeMap<String, String> {
    let exit = bench.run(step).await;
    assert_eq!(exit.code, Some(0), "{exit:#?}");
    assert_eq!(bench.server.result().outcome, StepOutcome::Completed);
    let log = bench.server.log();
    let lines = log.lines().filter_map(|line| line.split_once("tried ")?.1.rsplit_once(": "));
    lines.map(|(what, result)| (what.to_owned(), result.to_owned())).collect()
}

async fn bench() -> Bench {
    let mut bench = Bench::new(MODULE).await;
    bench.write("hostile.sh", include_str!("hostile.sh"));
    bench.write("state.json", STATE);
    bench.write("api", &bench.server.attempt_url());
    bench.wrap_terraform(DURING_PLAN);
    bench
}

/// What belongs to the executor process.
const PROCESS: &[&str] = &[
    "environment of the executor",
    "memory of the executor",
    "memory map of the executor",
    "open file of the executor",
    "working directory of the executor",
];

const CREDENTIALS: &[&str] = &[
    "session token in the environment",
    "claim token in the environment",
    "payload in the environment",
    "token in a file of the work folder",
    "token on a command line",
];

const ROUTES: &[&str] = &[
    "POST result",
    "PUT plan",
    "POST log?offset=0",
    "GET plan",
    "GET state",
    "POST state",
    "PUT rescued-state",
    "POST heartbeat",
];

const LOOPBACK: &[&str] = &[
    "loopback GET ",
    "loopback GET /",
    "loopback GET /result",
    "loopback GET /SECRET/result",
    "loopback GET /SECRET/../result",
    "loopback GET /SECRETx",
    "loopback GET /PART",
    "loopback GET /state",
    "loopback PUT",
    "loopback DELETE",
    "loopback PATCH",
    "loopback OPTIONS",
];

/// Returns what the script must print. `process` is what it gets of the executor process, `files` whether it
/// can list the open files.
fn expected(process: &str, files: &str, step: StepType) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    let mut add = |what: &str, result: &str| _ = all.insert(what.to_owned(), result.to_owned());
    add("executor is the parent of terraform", "reached");
    add("numbers of the open files of the executor", files);
    for what in PROCESS {
        add(what, process);
    }
    for what in CREDENTIALS {
        add(what, "denied");
    }
    let stolen = (process == "reached").then_some("claim token");
    for name in ["address of the state", "no credential"].into_iter().chain(stolen) {
        for route in ROUTES {
            add(&format!("API with {name}, {route}"), "401");
        }
    }
    if stolen.is_some() {
        // Claimed already, and this is another executor.
        add("API with claim token, POST claim", "409");
    }
    for what in LOOPBACK {
        add(what, "404");
    }
    let is_plan = step.is_plan();
    add("loopback read of the state", if is_plan { "204" } else { "200" });
    add("loopback write of the state", if is_plan { "403" } else { "200" });
    all
}

/// `launcher` and `owner` are for [`Bench::run_as`].
async fn check(launcher: &[&str], owner: Option<&str>, process: &str, files: &str) {
    if !["terraform", "curl", "setpriv"].into_iter().all(have) || !rustix::process::geteuid().is_root() {
        return;
    }
    for step in [StepType::TerraformPlan, StepType::TerraformApply] {
        let mut bench = bench().await;
        if step == StepType::TerraformApply {
            bench.server.with(|memory| memory.state = Some(STATE.into()));
        }
        bench.run_as(launcher, owner);
        let tried = tried(&mut bench, step).await;
        assert_eq!(tried, expected(process, files, step), "{step}");
        let plan = bench.server.with(|memory| memory.plan.clone());
        assert_eq!(plan.is_some_and(|plan| plan.starts_with(b"PK")), step.is_plan());
    }
}

#[tokio::test]
async fn step_code_of_an_ordinary_user_reaches_this_state_alone() {
    let nobody =
        ["--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all", "--no-new-privs"];
    check(&nobody, Some("65534:65534"), "denied", "denied").await;
}

/// What container runtimes leave to root.
const CONTAINER: &str = "--bounding-set=-all,+chown,+dac_override,+fowner,+fsetid,+kill,+setgid,+setuid,+setpcap,\
                         +net_bind_service,+net_raw,+sys_chroot,+mknod,+audit_write,+setfcap";

#[tokio::test]
async fn step_code_of_root_in_a_container_reaches_this_state_alone() {
    check(&[CONTAINER], None, "denied", "reached").await;
}

/// The local backend run as root: the kernel closes nothing. The credentials in the environment are worth
/// nothing, but those in the memory are in reach.
#[tokio::test]
async fn step_code_of_root_outside_of_a_container_reads_the_executor() {
    check(&["--no-new-privs"], None, "reached", "reached").await;
}
