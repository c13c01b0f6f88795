//! Real children: small shell scripts.

use std::{collections::BTreeMap, fs, path::Path};

use super::{Exit, Invocation, output, run};
use crate::{
    log::{Log, Masker},
    stop::Stop,
};

struct Bench {
    dir: tempfile::TempDir,
    log: Log,
    stop: Stop,
    env: BTreeMap<String, String>,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let log = Log::create(&dir.path().join("log"), Masker::new(["hunter22"]).unwrap());
        let env = BTreeMap::from([("PATH".to_owned(), "/usr/local/bin:/usr/bin:/bin".to_owned())]);
        Self { log: log.unwrap(), dir, stop: Stop::default(), env }
    }

    fn call(&self, script: &str) -> Invocation<'_> {
        Invocation {
            program: Path::new("/bin/sh"),
            args: vec!["-c".into(), script.into()],
            dir: self.dir.path(),
            env: &self.env,
        }
    }

    async fn run(&self, script: &str) -> Exit {
        run(&self.call(script), &self.log, &self.stop).await.unwrap()
    }

    fn text(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap()
    }
}

#[tokio::test]
async fn logs_both_streams_masked_and_in_order() {
    let bench = Bench::new();
    let ended = bench.run("echo one; echo two hunter22 >&2; echo three; printf 'no end'; exit 7").await;
    assert_eq!(ended, Exit::Code(7));
    assert_eq!(bench.text(), "one\ntwo ***\nthree\nno end\n");
}

#[tokio::test]
async fn masks_secret_that_is_written_in_two_parts() {
    let bench = Bench::new();
    bench
        .run("printf 'a hunt'; sleep 0.1; printf 'er22 b'; sleep 0.1; printf 'hunter'; sleep 0.1; echo 22")
        .await;
    assert_eq!(bench.text(), "a *** b***\n");
}

#[tokio::test]
async fn logs_more_output_than_a_pipe_holds() {
    let bench = Bench::new();
    let script = "i=0; while [ $i -lt 20000 ]; do echo \"line $i\"; i=$((i+1)); done";
    assert_eq!(bench.run(script).await, Exit::Code(0));
    let text = bench.text();
    assert_eq!(text.lines().count(), 20_000);
    assert!(text.ends_with("line 19999\n"));
}

#[tokio::test]
async fn stop_request_interrupts_once_and_keeps_later_output() {
    let bench = Bench::new();
    let script = "trap 'echo interrupted; sleep 0.2; echo saved; exit 3' INT; echo ready; \
                  while :; do sleep 0.05; done";
    let call = bench.call(script);
    let stopper = async {
        let mut reader = bench.log.reader().unwrap();
        reader.written.wait_for(|written| *written > 0).await.unwrap();
        bench.stop.request();
        bench.stop.request();
    };
    let (ended, ()) = tokio::join!(run(&call, &bench.log, &bench.stop), stopper);
    assert_eq!(ended.unwrap(), Exit::Code(3));
    assert_eq!(bench.text(), "ready\ninterrupted\nsaved\n");
}

#[tokio::test]
async fn process_group_does_not_outlive_the_child() {
    let bench = Bench::new();
    // The child in the background holds the output open: the run ends at once only because it is killed.
    let ended = bench.run("sleep 600 & echo $! > pid; exit 0").await;
    assert_eq!(ended, Exit::Code(0));
    assert_eq!(bench.text(), "");
}

#[tokio::test]
async fn reports_signal_that_ended_the_child() {
    assert_eq!(Bench::new().run("kill -9 $$").await, Exit::Signal(9));
}

#[tokio::test]
async fn child_gets_exactly_the_given_environment() {
    let mut bench = Bench::new();
    bench.env.insert("ONLY".into(), "this".into());
    bench.run("/usr/bin/env | grep -c . ; echo $ONLY").await;
    // The shell itself adds PWD and the like; nothing of the test's own environment may be there.
    assert!(!bench.text().contains("CARGO"));
    assert!(bench.text().ends_with("this\n"));
}

#[tokio::test]
async fn returns_output_or_logs_standard_error() {
    let bench = Bench::new();
    let text = output(&bench.call("echo '  1.2.3 '"), &bench.log, &bench.stop).await.unwrap();
    assert_eq!(text.as_deref(), Some("1.2.3"));
    let text = output(&bench.call("echo broken >&2; exit 1"), &bench.log, &bench.stop).await.unwrap();
    assert_eq!(text, None);
    assert_eq!(bench.text(), "broken\n");
}

#[tokio::test]
async fn names_missing_program() {
    let bench = Bench::new();
    let call = Invocation { program: Path::new("/nowhere/terraform"), ..bench.call("") };
    let error = run(&call, &bench.log, &bench.stop).await.unwrap_err();
    assert_eq!(error.to_string(), "could not run \"/nowhere/terraform\"");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn kernel_kills_a_child_before_this_process_when_memory_is_short() {
    let own: i32 = fs::read_to_string("/proc/self/oom_score_adj").unwrap().trim().parse().unwrap();
    let expected = (own + 200).min(1000);
    let script = format!("while [ \"$(cat /proc/$$/oom_score_adj)\" != {expected} ]; do :; done");
    assert_eq!(Bench::new().run(&script).await, Exit::Code(0));
}
