//! What other people do in the namespace, done with the operator's rights through `kubectl`.

use std::{process::Stdio, time::Duration};

use anyhow::{Context as _, bail};
use serde_json::Value;
use tokio::{io::AsyncWriteExt as _, process::Command, time::Instant};

/// A state of the cluster comes within this time, or the scenario has failed.
const PATIENCE: Duration = Duration::from_mins(2);
const PAUSE: Duration = Duration::from_millis(500);

/// The operator's hands in the namespace.
#[derive(Debug, Clone)]
pub(crate) struct Others {
    context: String,
    namespace: String,
}

impl Others {
    pub(crate) fn new(context: &str, namespace: &str) -> Self {
        Self { context: context.to_owned(), namespace: namespace.to_owned() }
    }

    /// Runs `kubectl` in the namespace.
    pub(crate) async fn kubectl(&self, arguments: &[&str], input: Option<&Value>) -> anyhow::Result<String> {
        let command = || format!("kubectl {}", arguments.join(" "));
        let mut child = Command::new("kubectl")
            .args(["--context", &self.context, "--namespace", &self.namespace])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("cannot start kubectl")?;
        if let Some(mut pipe) = child.stdin.take() {
            let text = input.map(Value::to_string).unwrap_or_default();
            pipe.write_all(text.as_bytes())
                .await
                .with_context(|| format!("`{}` reads nothing", command()))?;
        }
        let output = child.wait_with_output().await.context("cannot wait for kubectl")?;
        if !output.status.success() {
            bail!("`{}` failed: {}", command(), String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Makes an object.
    pub(crate) async fn make(&self, object: &Value) -> anyhow::Result<()> {
        self.kubectl(&["create", "-f", "-"], Some(object)).await.map(drop)
    }

    /// Lists objects.
    pub(crate) async fn list(&self, kind: &str, selector: &str) -> anyhow::Result<Vec<Value>> {
        let text = self.kubectl(&["get", kind, selector, "-o", "json"], None).await?;
        let list: Value = serde_json::from_str(&text).context("kubectl answered no JSON")?;
        Ok(list["items"].as_array().cloned().unwrap_or_default())
    }

    /// Tells whether an object is there.
    pub(crate) async fn has(&self, reference: &str) -> anyhow::Result<bool> {
        let found = self.kubectl(&["get", reference, "--ignore-not-found", "-o", "name"], None).await?;
        Ok(!found.trim().is_empty())
    }

    /// Waits until an object is gone.
    pub(crate) async fn wait_until_gone(&self, reference: &str) -> anyhow::Result<()> {
        self.wait(&format!("{reference} to go"), async || Ok((!self.has(reference).await?).then_some(())))
            .await
    }

    /// Waits for the one pod of a Job, and returns its name once it is as wanted.
    pub(crate) async fn wait_for_pod(
        &self,
        job: &str,
        what: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> anyhow::Result<String> {
        let selector = format!("--selector=batch.kubernetes.io/job-name={job}");
        self.wait(&format!("a pod of {job} that {what}"), async || {
            let pods = self.list("pods", &selector).await?;
            let pod = pods.into_iter().find(|pod| wanted(pod));
            Ok(pod.and_then(|pod| pod["metadata"]["name"].as_str().map(str::to_owned)))
        })
        .await
    }

    /// Waits until there is an event about a Job.
    pub(crate) async fn wait_for_event(&self, job: &str, reason: &str) -> anyhow::Result<()> {
        let selector =
            format!("--field-selector=involvedObject.kind=Job,involvedObject.name={job},reason={reason}");
        self.wait(&format!("event {reason} of {job}"), async || {
            let events = self.list("events", &selector).await?;
            Ok((!events.is_empty()).then_some(()))
        })
        .await
    }

    /// Waits until the cluster would refuse an object in words that hold a text: a rule that was made just now holds only
    /// once every part of the cluster has seen it.
    pub(crate) async fn wait_until_refused(&self, object: &Value, words: &str) -> anyhow::Result<()> {
        self.wait(&format!("a refusal that says {words:?}"), async || {
            match self.kubectl(&["create", "--dry-run=server", "-f", "-"], Some(object)).await {
                Ok(_) => Ok(None),
                Err(error) if error.to_string().contains(words) => Ok(Some(())),
                Err(error) => Err(error),
            }
        })
        .await
    }

    /// Asks until there is an answer.
    pub(crate) async fn wait<T>(
        &self,
        what: &str,
        mut ask: impl AsyncFnMut() -> anyhow::Result<Option<T>>,
    ) -> anyhow::Result<T> {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(answer) = ask().await? {
                return Ok(answer);
            }
            if Instant::now() > end {
                bail!("waited {} s for {what}", PATIENCE.as_secs());
            }
            tokio::time::sleep(PAUSE).await; // bounded poll
        }
    }
}
