//! Behavior of the local backend alone: its processes outlive it, and nothing of a Job runs after its end.
#![expect(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

use std::{fs, path::PathBuf, time::Duration};

use futures::{StreamExt as _, stream::BoxStream};
use k8s_backend::{
    BackendError, Cause, ConfigProblem, ErrorKind, JobBackend as _, JobPhase, LocalBackend, LocalOptions,
    OpenError, Submission, Submitted, Waiting,
    testing::conformance::{SAMPLE_MOUNT, SAMPLE_TOKEN, STATE_TIMEOUT, sample_job, sample_submission},
};
use k8s_openapi::api::batch::v1::Job;
use serde_json::{Value, json};
use tempfile::TempDir;

const NAME: &str = "job-1001-100-1";

struct Machine(TempDir);

impl Machine {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn options(&self) -> LocalOptions {
        let environment = [("PATH", "/usr/local/bin:/usr/bin:/bin"), ("SERVER_SECRET", "of the server")];
        LocalOptions::new(self.path("jobs"))
            .secrets(self.path("secrets"))
            .entry_point(self.path("no-such-program"))
            .environment(environment)
    }

    async fn open(&self) -> LocalBackend {
        LocalBackend::open(self.options()).await.unwrap()
    }

    fn output(&self) -> String {
        fs::read_to_string(self.path(&format!("jobs/{NAME}/pod.log"))).unwrap()
    }

    fn record(&self) -> Value {
        serde_json::from_slice(&fs::read(self.path(&format!("jobs/{NAME}/record.json"))).unwrap()).unwrap()
    }

    /// Waits until a process of a Job has written a file.
    async fn until_file(&self, name: &str) -> String {
        let found = async {
            loop {
                match fs::read_to_string(self.path(name)) {
                    Ok(text) if text.ends_with('\n') => return text.trim().to_owned(),
                    _ => tokio::time::sleep(Duration::from_millis(20)).await, // bounded poll
                }
            }
        };
        tokio::time::timeout(STATE_TIMEOUT, found).await.unwrap()
    }

    /// A Job that runs a shell script, in which `$T` is a folder of the test. As everywhere in a Job, `$$` is
    /// one `$`.
    fn script(&self, text: &str) -> Job {
        let mut job = sample_job(NAME);
        let pod = pod_of(&mut job);
        pod.termination_grace_period_seconds = Some(1);
        pod.containers[0].command = Some(["sh", "-c", text].map(str::to_owned).into());
        let folder = self.0.path().to_str().unwrap();
        pod.containers[0].env =
            Some(serde_json::from_value(json!([{"name": "T", "value": folder}])).unwrap());
        job
    }
}

fn pod_of(job: &mut Job) -> &mut k8s_openapi::api::core::v1::PodSpec {
    job.spec.as_mut().unwrap().template.spec.as_mut().unwrap()
}

type Phases = BoxStream<'static, Result<JobPhase, BackendError>>;

async fn until(phases: &mut Phases, wanted: impl Fn(&JobPhase) -> bool) -> JobPhase {
    loop {
        let phase = tokio::time::timeout(STATE_TIMEOUT, phases.next()).await.unwrap().unwrap().unwrap();
        if wanted(&phase) {
            return phase;
        }
    }
}

async fn end(backend: &LocalBackend) -> Cause {
    match until(&mut backend.watch(NAME), JobPhase::is_terminal).await {
        JobPhase::Ended(cause) => cause,
        other => unreachable!("{other:?} is not an end"),
    }
}

async fn running(backend: &LocalBackend) {
    until(&mut backend.watch(NAME), |phase| *phase == JobPhase::Running).await;
}

/// Returns whether a process exists and does not only wait to be reaped.
fn is_alive(pid: &str) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit_once(')').unwrap().1.trim_start().starts_with('Z'))
}

/// Runs as long as the folder of the test exists: no process may outlive a failed test.
const UNTIL_TEST_ENDS: &str = "while [ -d $T ]; do sleep 0.1; done";

#[tokio::test]
async fn process_that_outlived_its_backend_is_found_and_can_be_cancelled() {
    let machine = Machine::new();
    let job = machine.script(&format!("echo $$$$ > $T/pid; {UNTIL_TEST_ENDS}"));
    let first = machine.open().await;
    first.submit(&job.clone().into()).await.unwrap();
    let pid = machine.until_file("pid").await;
    running(&first).await;
    drop(first);

    let second = machine.open().await;
    assert_eq!(second.submit(&job.clone().into()).await.unwrap(), Submitted::AlreadyThere);
    running(&second).await;
    second.cancel(NAME).await.unwrap();
    assert_eq!(end(&second).await, Cause::Deleted);
    assert!(!is_alive(&pid));
    drop(second);

    let third = machine.open().await;
    assert_eq!(end(&third).await, Cause::Deleted);
    assert_eq!(third.submit(&job.clone().into()).await.unwrap(), Submitted::AlreadyThere);
    let mut other = job.clone();
    other.metadata.annotations = None;
    assert_eq!(third.submit(&other.into()).await.unwrap_err().kind, ErrorKind::Conflict);
}

#[tokio::test]
async fn deadline_passes_while_no_backend_runs() {
    let machine = Machine::new();
    let mut job = machine.script(UNTIL_TEST_ENDS);
    job.spec.as_mut().unwrap().active_deadline_seconds = Some(2);
    let first = machine.open().await;
    first.submit(&job.clone().into()).await.unwrap();
    first.close().await;
    drop(first);
    let second = machine.open().await;
    assert_eq!(end(&second).await, Cause::DeadlineExceeded);
}

#[tokio::test]
async fn process_that_ended_while_no_backend_ran_is_lost() {
    let machine = Machine::new();
    let first = machine.open().await;
    first
        .submit(
            &machine
                .script("while [ -d $T ] && ! [ -e $T/go ]; do sleep 0.05; done; echo $$$$ > $T/gone")
                .into(),
        )
        .await
        .unwrap();
    first.close().await;
    drop(first);
    fs::write(machine.path("go"), "").unwrap();
    machine.until_file("gone").await;
    let second = machine.open().await;
    assert!(matches!(end(&second).await, Cause::Lost { .. }));
    drop(second);
    assert!(matches!(end(&machine.open().await).await, Cause::Lost { .. }), "it stays lost");
}

#[tokio::test]
async fn children_of_the_main_process_are_ended_before_the_job() {
    let machine = Machine::new();
    let backend = machine.open().await;
    let left = format!("trap '' TERM; {UNTIL_TEST_ENDS}");
    let script = format!("sh -c \"{left}\" & echo $! > $T/pid; exit 3");
    backend.submit(&machine.script(&script).into()).await.unwrap();
    assert_eq!(end(&backend).await, Cause::ExitCode(Some(3)));
    assert!(!is_alive(&machine.until_file("pid").await));
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn process_in_its_own_session_is_ended() {
    let machine = Machine::new();
    let backend = machine.open().await;
    let script = format!("setsid sh -c 'echo $$$$ > $T/pid; {UNTIL_TEST_ENDS}' & {UNTIL_TEST_ENDS}");
    backend.submit(&machine.script(&script).into()).await.unwrap();
    let pid = machine.until_file("pid").await;
    backend.cancel(NAME).await.unwrap();
    assert_eq!(end(&backend).await, Cause::Deleted);
    assert!(!is_alive(&pid));
}

#[tokio::test]
async fn missing_program_is_not_started() {
    let machine = Machine::new();
    let backend = machine.open().await;
    let mut job = sample_job(NAME);
    pod_of(&mut job).containers[0].command = None;
    backend.submit(&job.clone().into()).await.unwrap();
    let Cause::NotStarted { message } = end(&backend).await else {
        unreachable!("no process can have started")
    };
    assert!(message.contains("no-such-program"), "{message}");
}

#[tokio::test]
async fn signal_is_the_cause() {
    let machine = Machine::new();
    let backend = machine.open().await;
    backend.submit(&machine.script("kill -9 $$$$").into()).await.unwrap();
    assert_eq!(end(&backend).await, Cause::Signal(9));
}

#[tokio::test]
async fn processes_of_a_killed_main_process_may_end_undisturbed() {
    let machine = Machine::new();
    let backend = machine.open().await;
    let left = "trap 'echo TERM > $T/signal' TERM; while [ -d $T ] && ! [ -e $T/go ]; do sleep 0.05; done; \
                echo saved > $T/saved";
    let mut job = machine.script(&format!("({left}) & echo $! > $T/pid; kill -9 $$$$"));
    pod_of(&mut job).termination_grace_period_seconds = Some(40);
    backend.submit(&job.into()).await.unwrap();
    let pid = machine.until_file("pid").await;
    fs::write(machine.path("go"), "").unwrap();
    assert_eq!(end(&backend).await, Cause::Signal(9));
    assert!(machine.path("saved").exists() && !machine.path("signal").exists());
    assert!(!is_alive(&pid));
}

#[tokio::test]
async fn next_program_repeats_no_signal() {
    let machine = Machine::new();
    let script = "trap 'echo TERM >> $T/signals' TERM; echo up > $T/up; \
                  while [ -d $T ] && ! [ -e $T/go ]; do sleep 0.05; done";
    let mut job = machine.script(script);
    pod_of(&mut job).termination_grace_period_seconds = Some(40);
    let first = machine.open().await;
    first.submit(&job.into()).await.unwrap();
    machine.until_file("up").await;
    first.cancel(NAME).await.unwrap();
    machine.until_file("signals").await;
    while machine.record()["signalled"] != json!(true) {
        tokio::task::yield_now().await;
    }
    first.close().await;
    drop(first);
    let second = machine.open().await;
    running(&second).await;
    fs::write(machine.path("go"), "").unwrap();
    assert_eq!(end(&second).await, Cause::Deleted);
    assert_eq!(fs::read_to_string(machine.path("signals")).unwrap(), "TERM\n");
}

#[tokio::test]
async fn termination_message_is_part_of_the_cause() {
    let machine = Machine::new();
    let options = machine.options().termination_variable("MESSAGE_FILE");
    let backend = LocalBackend::open(options.clone()).await.unwrap();
    let script = r#"echo '{"message": "no route to the server", "exitCode": 13}' > $MESSAGE_FILE; exit 13"#;
    backend.submit(&machine.script(script).into()).await.unwrap();
    let expected = Cause::ExitMessage { exit_code: 13, message: "no route to the server".to_owned() };
    assert_eq!(end(&backend).await, expected);
    backend.close().await;
    drop(backend);
    let backend = LocalBackend::open(options).await.unwrap();
    assert_eq!(end(&backend).await, expected);
}

#[tokio::test]
async fn job_waits_for_missing_secret() {
    let machine = Machine::new();
    let backend = machine.open().await;
    let mut job = machine.script("echo \"$TOKEN\"");
    let from = json!([{"secretRef": {"name": "executor-secrets"}}]);
    pod_of(&mut job).containers[0].env_from = Some(serde_json::from_value(from).unwrap());
    backend.submit(&job.clone().into()).await.unwrap();
    let first = backend.watch(NAME).next().await.unwrap().unwrap();
    let message = "secret \"executor-secrets\" not found".to_owned();
    let waiting = Waiting::ConfigError { problem: ConfigProblem::MissingSecret, message };
    assert_eq!(first, JobPhase::Pending { waiting });
    // In one step: an incomplete Secret would be used as it is.
    fs::create_dir_all(machine.path("new")).unwrap();
    fs::write(machine.path("new/TOKEN"), "s3cr3t").unwrap();
    fs::create_dir_all(machine.path("secrets")).unwrap();
    fs::rename(machine.path("new"), machine.path("secrets/executor-secrets")).unwrap();
    assert_eq!(end(&backend).await, Cause::Completed);
    assert!(machine.output().contains("s3cr3t"));
    let record = machine.record().to_string();
    assert!(!record.contains("s3cr3t") && !record.contains("TOKEN"), "{record}");
}

#[tokio::test]
async fn waiting_job_is_not_started_after_a_restart() {
    let machine = Machine::new();
    let first = machine.open().await;
    let mut job = machine.script("exit 0");
    let from = json!([{"secretRef": {"name": "executor-secrets"}}]);
    pod_of(&mut job).containers[0].env_from = Some(serde_json::from_value(from).unwrap());
    first.submit(&job.clone().into()).await.unwrap();
    drop(first);
    let second = machine.open().await;
    assert!(matches!(end(&second).await, Cause::NotStarted { .. }));
}

#[tokio::test]
async fn mounted_secret_exists_until_its_process_ends_also_across_a_restart() {
    let machine = Machine::new();
    let script = machine.script(
        "while [ -d $T ] && ! [ -e $T/go ]; do sleep 0.05; done; cat $FILE > $T/read; echo >> $T/read",
    );
    let mut submission = Submission::from((script, sample_submission(NAME).secret));
    let (pod, mounts) = (pod_of(&mut submission.job), sample_submission(NAME).job);
    let wanted = mounts.spec.unwrap().template.spec.unwrap();
    pod.volumes = wanted.volumes;
    pod.containers[0].volume_mounts = wanted.containers[0].volume_mounts.clone();
    let file = json!({"name": "FILE", "value": format!("{SAMPLE_MOUNT}/token")});
    pod.containers[0].env.as_mut().unwrap().push(serde_json::from_value(file).unwrap());
    let first = machine.open().await;
    first.submit(&submission).await.unwrap();
    running(&first).await;
    first.close().await;
    drop(first);
    assert!(!machine.record().to_string().contains(SAMPLE_TOKEN));

    let second = machine.open().await;
    fs::write(machine.path("go"), "").unwrap();
    assert!(matches!(end(&second).await, Cause::Lost { .. }));
    assert_eq!(machine.until_file("read").await, SAMPLE_TOKEN);
    assert!(!machine.path(&format!("jobs/{NAME}/mounts")).exists());
}

#[tokio::test]
async fn mounted_secret_of_ended_process_is_removed_at_the_next_start() {
    let machine = Machine::new();
    let first = machine.open().await;
    first.submit(&machine.script("exit 0").into()).await.unwrap();
    end(&first).await;
    drop(first);
    // As if the program had been killed before it could remove it.
    let left = machine.path(&format!("jobs/{NAME}/mounts/secret"));
    fs::create_dir_all(&left).unwrap();
    fs::write(left.join("token"), SAMPLE_TOKEN).unwrap();
    machine.open().await;
    assert!(!left.exists());
}

#[tokio::test]
async fn process_has_the_environment_of_the_job_and_not_of_the_program() {
    let machine = Machine::new();
    let backend = machine.open().await;
    let mut job = machine.script("env; pwd");
    pod_of(&mut job).node_selector = Some([("disk".to_owned(), "fast".to_owned())].into());
    backend.submit(&job.clone().into()).await.unwrap();
    assert_eq!(end(&backend).await, Cause::Completed);
    let output = machine.output();
    assert!(output.contains("\nT=") && !output.contains("SERVER_SECRET"), "{output}");
    let notes: Vec<_> = output.lines().filter(|line| line.starts_with("[local backend]")).collect();
    assert_eq!(notes.len(), 1, "{output}");
    assert!(notes[0].contains("spec.template.spec.nodeSelector"), "{output}");
    assert!(
        !machine.path(&format!("jobs/{NAME}/work")).exists(),
        "the working folder is removed after the Job"
    );
}

#[tokio::test]
async fn damaged_record_keeps_its_name_taken() {
    let machine = Machine::new();
    let first = machine.open().await;
    let job = machine.script("exit 0");
    first.submit(&job.clone().into()).await.unwrap();
    end(&first).await;
    drop(first);
    fs::write(machine.path(&format!("jobs/{NAME}/record.json")), "{").unwrap();
    let second = machine.open().await;
    assert!(matches!(end(&second).await, Cause::Lost { .. }));
    assert_eq!(second.submit(&job.clone().into()).await.unwrap_err().kind, ErrorKind::Conflict);
}

#[tokio::test]
async fn directory_is_used_by_one_backend_at_a_time() {
    let machine = Machine::new();
    let _first = machine.open().await;
    assert!(matches!(LocalBackend::open(machine.options()).await, Err(OpenError::InUse(_))));
}

#[tokio::test]
async fn folder_of_secrets_is_not_the_directory() {
    let machine = Machine::new();
    let options = machine.options().secrets(machine.path("jobs"));
    assert!(matches!(LocalBackend::open(options).await, Err(OpenError::SecretsInDirectory(_))));
}

#[tokio::test]
async fn folders_are_accessible_to_this_user_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let machine = Machine::new();
    let backend = machine.open().await;
    backend.submit(&machine.script("exit 0").into()).await.unwrap();
    end(&backend).await;
    for (path, mode) in [("", 0o700), ("/record.json", 0o600), ("/pod.log", 0o600)] {
        let found = fs::metadata(machine.path(&format!("jobs/{NAME}{path}"))).unwrap().permissions().mode();
        assert_eq!(found & 0o777, mode, "{path:?}");
    }
}

#[tokio::test]
async fn job_named_like_the_old_lock_file_runs() {
    let machine = Machine::new();
    fs::create_dir_all(machine.path("jobs")).unwrap();
    fs::write(machine.path("jobs/lock"), "").unwrap();
    let backend = machine.open().await;
    let mut job = machine.script("exit 0");
    job.metadata.name = Some("lock".to_owned());
    backend.submit(&job.into()).await.unwrap();
    let end = until(&mut backend.watch("lock"), JobPhase::is_terminal).await;
    assert_eq!(end, JobPhase::Ended(Cause::Completed));
}

#[tokio::test]
async fn job_that_could_run_only_in_part_is_refused_as_a_whole() {
    let machine = Machine::new();
    let backend = machine.open().await;
    let mut job = machine.script("touch $T/ran");
    let sidecar = pod_of(&mut job).containers[0].clone();
    pod_of(&mut job).containers.push(sidecar);
    let error = backend.submit(&job.into()).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid);
    let error = backend.watch(NAME).next().await.unwrap().unwrap_err();
    assert_eq!(error.kind, ErrorKind::NotFound);
    assert!(!machine.path("ran").exists() && !machine.path(&format!("jobs/{NAME}")).exists());
}

#[tokio::test]
async fn job_of_a_queue_runs_at_once_and_its_output_says_so() {
    let machine = Machine::new();
    let backend = machine.open().await;
    let mut job = machine.script("exit 0");
    job.spec.as_mut().unwrap().suspend = Some(true);
    let labels = job.metadata.labels.get_or_insert_default();
    labels.insert("kueue.x-k8s.io/queue-name".to_owned(), "team-a".to_owned());
    backend.submit(&job.into()).await.unwrap();
    assert_eq!(end(&backend).await, Cause::Completed);
    assert!(machine.output().contains("spec.suspend"), "{}", machine.output());
}
