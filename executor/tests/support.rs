//! A test bench for one executor: folders, payload, environment and processes.
//!
//! The api-server is in [`server`].

pub(crate) mod git;
pub(crate) mod providers;
pub(crate) mod proxy;
pub(crate) mod releases;
pub(crate) mod server;

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Output, Stdio},
    time::Duration,
};

use job_spec::{EphemeralJobData, StepType};
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    process::{Child, Command},
    time::timeout,
};

pub(crate) use server::Server;

/// Much longer than any test takes, also on a busy machine.
pub(crate) const TIMEOUT: Duration = Duration::from_mins(2);

pub(crate) const ORGANIZATION: &str = "org-0b8a3c10";
pub(crate) const WORKSPACE: &str = "ws-7c1d2e5a";

/// Returns the program under test: these tests run once with terraform, and once with tofu.
pub(crate) fn engine() -> &'static str {
    if env!("CARGO_CRATE_NAME").ends_with("_tofu") { "tofu" } else { "terraform" }
}

/// Returns the search path of the test: `PATH`, and the folder of the programs that `e2e/engines/build`
/// builds.
pub(crate) fn search_path() -> String {
    let built = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("engines");
    format!("{}:{}", variable("PATH").unwrap_or_default(), built.display())
}

fn variable(name: &str) -> Option<String> {
    #[expect(
        clippy::disallowed_methods,
        reason = "tests look for terraform, and need to know whether they run in CI"
    )]
    std::env::var(name).ok()
}

/// Returns where a program is installed.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    std::env::split_paths(&search_path()).map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// Returns whether a program is installed; `terraform` stands for the program under test.
///
/// A missing one skips the test, and fails it in CI. CI has tofu only where it has Go to build it.
pub(crate) fn have(program: &str) -> bool {
    let program = if program == "terraform" { engine() } else { program };
    let found = find(program).is_some();
    if !found {
        assert!(program == "tofu" || variable("CI").is_none(), "{program} is not on PATH");
        eprintln!("SKIPPED: {program} is not on PATH");
    }
    found
}

/// Everything for one workspace.
pub(crate) struct Bench {
    pub(crate) server: Server,
    pub(crate) payload: EphemeralJobData,
    pub(crate) path: String,
    pub(crate) extra_env: BTreeMap<String, String>,
    /// The payload comes with the claim and is not in the environment.
    pub(crate) payload_at_claim: bool,
    /// The program that starts the executor, with its arguments.
    pub(crate) launcher: Vec<String>,
    pub(crate) executor: PathBuf,
    dir: tempfile::TempDir,
}

/// The exit code and output of an executor.
#[derive(Debug)]
pub(crate) struct Exit {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Bench {
    /// Creates a workspace whose source is a folder with this configuration.
    pub(crate) async fn new(configuration: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["source", "home", "tmp"] {
            fs::create_dir(dir.path().join(folder)).unwrap();
        }
        let text = format!(
            r#"{{"type":"terraformPlan","organizationId":"{ORGANIZATION}","workspaceId":"{WORKSPACE}",
                "jobId":"42","stepId":"step-1","vcsType":"PUBLIC","refresh":true,"showHeader":true}}"#
        );
        let mut payload: EphemeralJobData = serde_json::from_str(&text).unwrap();
        payload.tofu = engine() == "tofu";
        payload.source = dir.path().join("source").to_str().unwrap().to_owned();
        let bench = Self {
            server: Server::start().await,
            payload,
            path: search_path(),
            extra_env: BTreeMap::new(),
            payload_at_claim: false,
            launcher: Vec::new(),
            executor: env!("CARGO_BIN_EXE_executor").into(),
            dir,
        };
        bench.write("main.tf", configuration);
        bench
    }

    /// Writes a file into the source folder.
    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.folder("source").join(name), text).unwrap();
    }

    /// Lets the executor run as another user, with a copy of its program, or with fewer capabilities.
    pub(crate) fn run_as(&mut self, setpriv: &[&str], owner: Option<&str>) {
        self.launcher = std::iter::once("setpriv").chain(setpriv.iter().copied()).map(Into::into).collect();
        if let Some(owner) = owner {
            let program = self.folder("program").join("executor");
            fs::copy(&self.executor, &program).unwrap();
            self.executor = program;
            tool("chown", &["-R", owner, self.dir.path().to_str().unwrap()], Path::new("/"));
        }
    }

    /// Puts a script in front of the program under test, which gets the same arguments;
    /// `$REAL` is the program.
    pub(crate) fn wrap_terraform(&mut self, script: &str) {
        let folder = self.folder("bin");
        let real = find(engine()).unwrap();
        let text = format!("#!/bin/sh\nREAL={}\n{script}\nexec \"$REAL\" \"$@\"\n", real.display());
        fs::write(folder.join(engine()), text).unwrap();
        fs::set_permissions(folder.join(engine()), fs::Permissions::from_mode(0o755)).unwrap();
        self.path = format!("{}:{}", folder.display(), self.path);
    }

    /// Commits the files of the source to a repository, whatever ignores them, and returns its address.
    pub(crate) fn commit_source(&self) -> String {
        let (source, bare) = (self.folder("source"), self.folder("bare").join("source.git"));
        let git = |args: &[&str]| git::git(args, &source);
        git(&["init", "--quiet", "--initial-branch=main"]);
        git(&["add", "--all", "--force", "."]);
        git(&["commit", "--quiet", "-m", "source"]);
        git(&["clone", "--quiet", "--bare", ".", bare.to_str().unwrap()]);
        format!("file://{}", bare.display())
    }

    /// Returns a folder of the bench: `source`, `home`, `tmp`, or a new one.
    pub(crate) fn folder(&self, name: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        fs::create_dir_all(&path).unwrap();
        path
    }

    /// Returns the files that executors have left beside the work directory.
    pub(crate) fn left_behind(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.organization_folder()) else { return Vec::new() };
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| *name != format!("{WORKSPACE}.lock"))
            .collect()
    }

    pub(crate) fn organization_folder(&self) -> PathBuf {
        self.dir.path().join("tmp/ephemeral-agents").join(ORGANIZATION)
    }

    /// Returns the complete environment of an executor.
    fn environment(&self) -> BTreeMap<String, String> {
        let folder = |name: &str| self.dir.path().join(name).to_str().unwrap().to_owned();
        let mut env = BTreeMap::from([
            ("PATH".to_owned(), self.path.clone()),
            ("HOME".to_owned(), folder("home")),
            ("TMPDIR".to_owned(), folder("tmp")),
            ("TerrakubeEnableColorOutput".to_owned(), "false".to_owned()),
            ("EphemeralFlagBatch".to_owned(), "true".to_owned()),
            ("EphemeralJobData".to_owned(), self.payload.encode()),
            ("EphemeralAttemptUrl".to_owned(), self.server.attempt_url()),
            ("EphemeralAttemptToken".to_owned(), server::TOKEN.to_owned()),
        ]);
        if self.payload_at_claim {
            env.remove("EphemeralJobData");
        }
        env.extend(self.extra_env.clone());
        env
    }

    /// Starts the program.
    pub(crate) fn spawn(&self) -> Child {
        let mut line = self.launcher.clone();
        line.push(self.executor.to_str().unwrap().to_owned());
        Command::new(&line[0])
            .args(&line[1..])
            .env_clear()
            .envs(self.environment())
            .current_dir(self.dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap()
    }

    /// Runs the program as the next attempt, for a step of this type.
    pub(crate) async fn run(&mut self, step: StepType) -> Exit {
        self.payload.step_type = step;
        self.server.next_attempt();
        let job_data = self.payload_at_claim.then(|| self.payload.encode());
        self.server.with(|memory| memory.job_data = job_data);
        finish(self.spawn()).await
    }
}

/// Waits for the end of an executor.
pub(crate) async fn finish(child: Child) -> Exit {
    let output = timeout(TIMEOUT, child.wait_with_output()).await.expect("the executor ends").unwrap();
    let Output { status, stdout, stderr } = output;
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Exit { code: status.code(), stdout: text(stdout), stderr: text(stderr) }
}

/// Waits until a condition of the machine is true, which nothing announces.
pub(crate) async fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let wait = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(timeout(TIMEOUT, wait).await.is_ok(), "timeout while waiting for {what}");
}

/// Sends TERM, as a cluster does.
pub(crate) fn terminate(child: &Child) {
    let pid = Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap()).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
}

/// Runs a helper program to its end and returns what it prints.
pub(crate) fn tool(program: &str, args: &[&str], dir: &Path) -> String {
    let output = std::process::Command::new(program)
        .args(args)
        .env_clear()
        .env("PATH", search_path())
        .env("HOME", dir)
        .current_dir(dir)
        .output()
        .unwrap();
    assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
