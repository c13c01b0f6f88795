//! Real children: small shell scripts.

use std::{collections::BTreeMap, fs, path::Path};

use super::{Ended, Invocation, ask, run};
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
        let log = Log::create(&dir.path().join("log"), Masker::new(["hunter22"]));
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

    async fn run(&self, script: &str) -> Ended {
        run(&self.call(script), &self.log, &self.stop).await.unwrap()
    }

    fn text(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap()
    }
}

#[tokio::test]
async fn both_streams_arrive_masked_and_in_order_with_the_exit_code() {
    let bench = Bench::new();
    let ended = bench.run("echo one; echo two hunter22 >&2; echo three; printf 'no end'; exit 7").await;
    assert_eq!(ended, Ended::Code(7));
    assert_eq!(bench.text(), "one\ntwo ***\nthree\nno end\n");
}

#[tokio::test]
async fn more_output_than_a_pipe_holds_arrives_whole() {
    let bench = Bench::new();
    let script = "i=0; while [ $i -lt 20000 ]; do echo \"line $i\"; i=$((i+1)); done";
    assert_eq!(bench.run(script).await, Ended::Code(0));
    let text = bench.text();
    assert_eq!(text.lines().count(), 20_000);
    assert!(text.ends_with("line 19999\n"));
}

#[tokio::test]
async fn a_stop_interrupts_once_and_what_the_child_then_says_is_kept() {
    let bench = Bench::new();
    let script = "trap 'echo interrupted; sleep 0.2; echo saved; exit 3' INT; echo ready; \
                  while :; do sleep 0.05; done";
    let call = bench.call(script);
    let stopper = async {
        let mut reader = bench.log.reader().unwrap();
        reader.written.wait_for(|written| *written > 0).await.unwrap();
        bench.stop.tell();
        bench.stop.tell();
    };
    let (ended, ()) = tokio::join!(run(&call, &bench.log, &bench.stop), stopper);
    assert_eq!(ended.unwrap(), Ended::Code(3));
    assert_eq!(bench.text(), "ready\ninterrupted\nsaved\n");
}

#[tokio::test]
async fn nothing_of_the_group_outlives_the_child() {
    let bench = Bench::new();
    // The child in the background holds the output open: the run ends at once only because it is killed.
    let ended = bench.run("sleep 600 & echo $! > pid; exit 0").await;
    assert_eq!(ended, Ended::Code(0));
    assert_eq!(bench.text(), "");
}

#[tokio::test]
async fn a_signal_that_ends_the_child_is_told() {
    assert_eq!(Bench::new().run("kill -9 $$").await, Ended::Signal(9));
}

#[tokio::test]
async fn the_environment_is_exactly_what_was_given() {
    let mut bench = Bench::new();
    bench.env.insert("ONLY".into(), "this".into());
    bench.run("/usr/bin/env | grep -c . ; echo $ONLY").await;
    // The shell itself adds PWD and the like; nothing of the test's own environment may be there.
    assert!(!bench.text().contains("CARGO"));
    assert!(bench.text().ends_with("this\n"));
}

#[tokio::test]
async fn a_question_returns_the_answer_or_logs_the_complaint() {
    let bench = Bench::new();
    let answer = ask(&bench.call("echo '  1.2.3 '"), &bench.log, &bench.stop).await.unwrap();
    assert_eq!(answer.as_deref(), Some("1.2.3"));
    let answer = ask(&bench.call("echo broken >&2; exit 1"), &bench.log, &bench.stop).await.unwrap();
    assert_eq!(answer, None);
    assert_eq!(bench.text(), "broken\n");
}

#[tokio::test]
async fn a_program_that_is_not_there_is_named() {
    let bench = Bench::new();
    let call = Invocation { program: Path::new("/nowhere/terraform"), ..bench.call("") };
    let error = run(&call, &bench.log, &bench.stop).await.unwrap_err();
    assert_eq!(error.to_string(), "could not run \"/nowhere/terraform\"");
}
