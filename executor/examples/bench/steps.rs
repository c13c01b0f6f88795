//! Steps through the executor beside the same terraform commands typed by hand; its start, its log and its
//! memory.

use std::{
    fmt::Write as _,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use job_spec::StepType;
use tokio::process::Command;

use crate::{
    Outcome, attempt,
    server::{self, Server},
};

/// Bytes of the large log.
const LOG_BYTES: u64 = 1024 * 1024 * 1024;

/// The targets.
const MAX_SMALL: f64 = 1.15;
const MAX_LARGE: f64 = 1.02;
const MAX_MEMORY_KIB: u64 = 20 * 1024;
const MAX_START: Duration = Duration::from_millis(50);
const MAX_LATENCY: Duration = Duration::from_millis(100);

/// Everything for one workspace.
struct Bench {
    folder: tempfile::TempDir,
    executor: PathBuf,
    terraform: PathBuf,
    path: String,
    server: Server,
    failed: bool,
}

/// Measures all of it, and fails when a target is missed.
pub(crate) async fn run(executor: &str, rounds: usize) -> Outcome<()> {
    let path = crate::search_path()?;
    let mut programs = std::env::split_paths(&path).map(|folder| folder.join("terraform"));
    let terraform = programs.find(|file| file.is_file()).ok_or("terraform is not on the PATH")?;
    drop(programs);
    let mut bench = Bench {
        folder: tempfile::tempdir()?,
        executor: executor.into(),
        terraform,
        path,
        server: Server::start().await?,
        failed: false,
    };
    for (name, resources, rounds, limit) in
        [("small configuration", 2, rounds, MAX_SMALL), ("500 resources", 500, rounds.div_ceil(2), MAX_LARGE)]
    {
        bench.compare(name, resources, rounds, limit).await?;
    }
    bench.start(rounds).await?;
    bench.throughput().await?;
    bench.latency().await?;
    if bench.failed { Err("a target was missed".into()) } else { Ok(()) }
}

impl Bench {
    /// Compares plan and apply with the same commands typed by hand, in turns.
    async fn compare(&mut self, name: &str, resources: usize, rounds: usize, limit: f64) -> Outcome<()> {
        let source = self.folder.path().join(format!("source-{resources}"));
        fs::create_dir(&source)?;
        fs::write(source.join("main.tf"), configuration(resources))?;
        let (mut ours, mut theirs, mut phases) =
            ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()], [const { String::new() }; 2]);
        let mut peak = 0;
        for _ in 0..rounds {
            *self.server.memory() = server::Memory::default();
            for (number, step) in [StepType::TerraformPlan, StepType::TerraformApply].into_iter().enumerate()
            {
                ours[number].push(self.step(step, &source).await?);
                let memory = self.server.memory();
                let result = memory.result.as_ref().ok_or("there is no result")?;
                if result.outcome != job_spec::attempt_api::StepOutcome::Completed {
                    return Err(format!("{step}: {:?}", result.message).into());
                }
                peak = peak.max(memory.peak_kib);
                phases[number] = result
                    .timings
                    .iter()
                    .map(|timing| format!("{} {} ms", timing.phase, timing.milliseconds))
                    .collect::<Vec<_>>()
                    .join(", ");
            }
            *self.server.memory() = server::Memory::default();
            let by_hand = self.by_hand(&source).await?;
            for number in [0, 1] {
                theirs[number].push(by_hand[number]);
            }
        }
        for (number, step) in ["plan", "apply"].into_iter().enumerate() {
            let (ours, theirs) = (median(&mut ours[number]), median(&mut theirs[number]));
            let ratio = ours.as_secs_f64() / theirs.as_secs_f64();
            let text = format!(
                "{name}, {step}: {ours:.0?} through the executor, {theirs:.0?} by hand, ratio {ratio:.3} \
                 (target {limit})"
            );
            self.print(&text, ratio <= limit);
            println!("    last: {}", phases[number]);
        }
        self.print(&format!("{name}: VmHWM of the executor {peak} KiB"), peak < MAX_MEMORY_KIB);
        Ok(())
    }

    /// Runs init and plan, then in another folder init and apply, with the state at the same server.
    async fn by_hand(&self, source: &Path) -> Outcome<[Duration; 2]> {
        let mut times = [Duration::ZERO; 2];
        let plan = self.folder.path().join("by-hand.plan");
        let work = self.folder.path().join("by-hand");
        for (number, command) in ["plan", "apply"].into_iter().enumerate() {
            let _ = fs::remove_dir_all(&work);
            fs::create_dir(&work)?;
            fs::copy(source.join("main.tf"), work.join("main.tf"))?;
            fs::write(work.join("backend.tf"), "terraform {\n  backend \"http\" {}\n}\n")?;
            let out = format!("-out={}", plan.display());
            let arguments = match command {
                "plan" => vec!["plan", "-input=false", "-detailed-exitcode", &out],
                _ => vec!["apply", "-input=false", plan.to_str().unwrap_or_default()],
            };
            let begin = Instant::now();
            self.terraform(&work, &["init", "-input=false"]).await?;
            self.terraform(&work, &arguments).await?;
            times[number] = begin.elapsed();
        }
        Ok(times)
    }

    async fn terraform(&self, work: &Path, arguments: &[&str]) -> Outcome<()> {
        let state = format!("{}/state", self.server.address);
        let status = Command::new(&self.terraform)
            .args(arguments)
            .current_dir(work)
            .env_clear()
            .envs([("PATH", self.path.as_str()), ("TF_IN_AUTOMATION", "1"), ("CHECKPOINT_DISABLE", "1")])
            .envs(["", "LOCK_", "UNLOCK_"].map(|kind| (format!("TF_HTTP_{kind}ADDRESS"), state.clone())))
            .stdin(Stdio::null())
            .stdout(fs::File::create(self.folder.path().join("by-hand.log"))?)
            .status()
            .await?;
        match status.code() {
            Some(0 | 2) => Ok(()),
            _ => Err(format!("terraform {arguments:?} ended with {status}").into()),
        }
    }

    /// Runs one step and returns the time from the start of the process to its end.
    async fn step(&self, step: StepType, source: &Path) -> Outcome<Duration> {
        self.step_with(step, source, &self.path).await
    }

    async fn step_with(&self, step: StepType, source: &Path, path: &str) -> Outcome<Duration> {
        {
            let mut memory = self.server.memory();
            memory.result = None;
            memory.log_bytes = 0;
        }
        let begin = Instant::now();
        let mut child = attempt::command(&self.executor, &self.server, step, source)?
            .env("PATH", path)
            .env("TMPDIR", self.folder.path())
            .stdout(fs::File::create(self.folder.path().join("pod.log"))?)
            .stderr(fs::File::create(self.folder.path().join("executor.log"))?)
            .spawn()?;
        self.server.memory().executor = child.id().unwrap_or_default();
        child.wait().await?;
        Ok(begin.elapsed())
    }

    /// Puts a script in place of terraform, and returns the search path with it.
    fn script(&self, text: &str) -> Outcome<String> {
        let folder = self.folder.path().join("bin");
        fs::create_dir_all(&folder)?;
        let file = folder.join("terraform");
        fs::write(&file, format!("#!/bin/sh\n{text}\n"))?;
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755))?;
        Ok(format!("{}:{}", folder.display(), self.path))
    }

    /// Measures the time from the start of the executor to the first instruction of terraform.
    async fn start(&mut self, rounds: usize) -> Outcome<()> {
        let source = self.folder.path().join("source-2");
        let stamp = self.folder.path().join("first");
        let path = self.script(&format!("date +%s%N > {}; exit 1", stamp.display()))?;
        let mut times = Vec::new();
        for _ in 0..rounds * 3 {
            *self.server.memory() = server::Memory::default();
            let begin = SystemTime::now().duration_since(UNIX_EPOCH)?;
            self.step_with(StepType::TerraformPlan, &source, &path).await?;
            let first = Duration::from_nanos(fs::read_to_string(&stamp)?.trim().parse()?);
            times.push(first.saturating_sub(begin));
        }
        let start = median(&mut times);
        self.print(
            &format!("start to the first instruction of terraform: {start:.1?} (target {MAX_START:?})"),
            start < MAX_START,
        );
        Ok(())
    }

    /// Measures a log of one gibibyte.
    async fn throughput(&mut self) -> Outcome<()> {
        let source = self.folder.path().join("source-2");
        let line =
            "module.network.aws_subnet.private[0]: Still creating... [00m10s elapsed] in eu-central-1a";
        let print = format!("yes '{line}' | head -c {LOG_BYTES}");
        let text = format!("case \"$1\" in init) {print} ;; esac; exit 1");
        let begin = Instant::now();
        tokio::process::Command::new("/bin/sh")
            .args(["-c", &format!("{print} > /dev/null")])
            .status()
            .await?;
        let alone = begin.elapsed();
        *self.server.memory() = server::Memory::default();
        let took = self.step_with(StepType::TerraformPlan, &source, &self.script(&text)?).await?;
        let (bytes, peak) = {
            let memory = self.server.memory();
            (memory.log_bytes, memory.peak_kib)
        };
        #[expect(clippy::cast_precision_loss, reason = "a speed for users")]
        let speed = bytes as f64 / took.as_secs_f64() / 1024.0 / 1024.0;
        let text = format!(
            "a log of {bytes} bytes: {took:.1?} ({speed:.0} MiB/s; {alone:.1?} for the program that prints \
             it), VmHWM {peak} KiB"
        );
        self.print(&text, bytes >= LOG_BYTES && peak < MAX_MEMORY_KIB);
        Ok(())
    }

    /// Measures how old a line is when it reaches the server.
    async fn latency(&mut self) -> Outcome<()> {
        let source = self.folder.path().join("source-2");
        let text =
            "case \"$1\" in init) for i in $(seq 500); do date +%s%N; sleep 0.013; done ;; esac; exit 1";
        *self.server.memory() = server::Memory { lines_are_times: true, ..server::Memory::default() };
        self.step_with(StepType::TerraformPlan, &source, &self.script(text)?).await?;
        let mut ages = std::mem::take(&mut self.server.memory().ages);
        ages.sort_unstable();
        let at = |part: usize| {
            let nanoseconds = ages.get(ages.len() * part / 100).copied().unwrap_or(u128::MAX);
            Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
        };
        let text = format!(
            "added latency of {} lines: median {:.1?}, p99 {:.1?} (target {MAX_LATENCY:?})",
            ages.len(),
            at(50),
            at(99)
        );
        self.print(&text, at(99) < MAX_LATENCY);
        Ok(())
    }

    fn print(&mut self, text: &str, is_met: bool) {
        self.failed |= !is_met;
        println!("{} {text}", if is_met { "✔" } else { "✘" });
    }
}

fn configuration(resources: usize) -> String {
    let mut text = String::from("variable \"password\" {\n  sensitive = true\n}\n");
    for number in 0..resources {
        let _ =
            write!(text, "resource \"terraform_data\" \"r{number}\" {{\n  input = \"value {number}\"\n}}\n");
    }
    text.replace("variable \"password\" {\n", "variable \"password\" {\n  default = \"\"\n")
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}
