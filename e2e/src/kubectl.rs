//! `kubectl` with the rights of the operator: creates what the scenarios need, and changes what they observe.

use std::{process::Stdio, time::Duration};

use anyhow::{Context as _, bail};
use serde_json::Value;
use tokio::{
    io::AsyncWriteExt as _,
    process::{Child, Command},
    time::Instant,
};

use crate::ui::Ui;

/// For a state of the cluster.
const TIMEOUT: Duration = Duration::from_mins(2);
const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// `kubectl` for one context and one namespace.
#[derive(Debug, Clone)]
pub(crate) struct Kubectl {
    pub(crate) context: String,
    pub(crate) namespace: String,
}

impl Kubectl {
    /// Selects a context, the current one if none is given, and checks that its cluster answers.
    ///
    /// # Errors
    /// There is no `kubectl`, no such context, or no answer.
    pub(crate) async fn connect(ui: &Ui, context: Option<&str>, namespace: &str) -> anyhow::Result<Self> {
        let mut kubectl =
            Self { context: context.unwrap_or_default().to_owned(), namespace: namespace.to_owned() };
        if kubectl.context.is_empty() {
            let current = Command::new("kubectl").args(["config", "current-context"]).output().await;
            let current =
                current.context("cannot start kubectl (https://kubernetes.io/docs/tasks/tools/)")?;
            let name = String::from_utf8_lossy(&current.stdout).trim().to_owned();
            if !current.status.success() || name.is_empty() {
                bail!("the kubeconfig has no current context; choose one with --context");
            }
            kubectl.context = name;
        }
        let version = kubectl.run(&["version", "-o", "json", "--request-timeout=15s"], None).await?;
        let version: Value = serde_json::from_str(&version).context("kubectl did not print JSON")?;
        let version = version.pointer("/serverVersion/gitVersion").and_then(Value::as_str);
        ui.note(&format!(
            "cluster: context {:?}, Kubernetes {}",
            kubectl.context,
            version.unwrap_or("unknown")
        ));
        Ok(kubectl)
    }

    /// Returns the same for another namespace.
    pub(crate) fn in_namespace(&self, namespace: &str) -> Self {
        Self { namespace: namespace.to_owned(), ..self.clone() }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("kubectl");
        command.args(["--context", &self.context, "--namespace", &self.namespace]).args(arguments);
        // Ctrl-C reaches only this program, which removes the namespace then.
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.process_group(0).kill_on_drop(true);
        command
    }

    /// Starts a command that runs on.
    pub(crate) fn start(&self, arguments: &[&str]) -> anyhow::Result<Child> {
        self.command(arguments).stderr(Stdio::null()).spawn().context("cannot start kubectl")
    }

    /// Runs a command and returns its output.
    pub(crate) async fn run(&self, arguments: &[&str], input: Option<&str>) -> anyhow::Result<String> {
        let mut child = self.command(arguments).spawn().context("cannot start kubectl")?;
        let name = || format!("kubectl {}", arguments.join(" "));
        if let Some(mut pipe) = child.stdin.take() {
            let text = input.unwrap_or_default();
            pipe.write_all(text.as_bytes()).await.with_context(|| format!("`{}` reads nothing", name()))?;
        }
        let output = child.wait_with_output().await.context("cannot wait for kubectl")?;
        if !output.status.success() {
            bail!("`{}` failed: {}", name(), String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Prints a command and runs it.
    pub(crate) async fn run_printed(
        &self,
        ui: &Ui,
        arguments: &[&str],
        input: Option<&str>,
    ) -> anyhow::Result<String> {
        let (context, namespace) = (&self.context, &self.namespace);
        ui.command(&format!("kubectl --context {context} --namespace {namespace} {}", arguments.join(" ")));
        self.run(arguments, input).await
    }

    /// Creates an object.
    pub(crate) async fn create(&self, object: &Value) -> anyhow::Result<()> {
        self.run(&["create", "-f", "-"], Some(&object.to_string())).await.map(drop)
    }

    /// Reads an object or a list.
    pub(crate) async fn json(&self, arguments: &[&str]) -> anyhow::Result<Value> {
        let text = self.run(&[arguments, &["-o", "json"]].concat(), None).await?;
        serde_json::from_str(&text).context("kubectl did not print JSON")
    }

    /// Lists objects.
    pub(crate) async fn list(&self, kind: &str, selector: &str) -> anyhow::Result<Vec<Value>> {
        let mut list = self.json(&["get", kind, selector]).await?;
        Ok(list["items"].as_array_mut().map(std::mem::take).unwrap_or_default())
    }

    /// Lists the pods of a Kubernetes Job.
    pub(crate) async fn pods_of(&self, job: &str) -> anyhow::Result<Vec<Value>> {
        self.list("pods", &format!("--selector=batch.kubernetes.io/job-name={job}")).await
    }

    /// Returns whether an object exists.
    pub(crate) async fn exists(&self, reference: &str) -> anyhow::Result<bool> {
        let found = self.run(&["get", reference, "--ignore-not-found", "-o", "name"], None).await?;
        Ok(!found.trim().is_empty())
    }

    /// Waits until an object is gone.
    pub(crate) async fn wait_until_gone(&self, reference: &str) -> anyhow::Result<()> {
        wait_for(&format!("the deletion of {reference}"), async || {
            Ok((!self.exists(reference).await?).then_some(()))
        })
        .await
    }

    /// Waits for a pod of a Job that satisfies a condition, and returns its name.
    pub(crate) async fn wait_for_pod(
        &self,
        job: &str,
        description: &str,
        condition: impl Fn(&Value) -> bool,
    ) -> anyhow::Result<String> {
        wait_for(&format!("a pod of {job} that {description}"), async || {
            let pod = self.pods_of(job).await?.into_iter().find(|pod| condition(pod));
            Ok(pod.and_then(|pod| pod["metadata"]["name"].as_str().map(str::to_owned)))
        })
        .await
    }

    /// Waits for an event about a Job.
    pub(crate) async fn wait_for_event(&self, job: &str, reason: &str) -> anyhow::Result<()> {
        let selector =
            format!("--field-selector=involvedObject.kind=Job,involvedObject.name={job},reason={reason}");
        wait_for(&format!("event {reason} of {job}"), async || {
            Ok((!self.list("events", &selector).await?.is_empty()).then_some(()))
        })
        .await
    }

    /// Waits until the cluster refuses an object with a message that contains `text`. A new rule holds only
    /// once every component of the cluster has seen it.
    pub(crate) async fn wait_until_refused(&self, object: &Value, text: &str) -> anyhow::Result<()> {
        wait_for(&format!("a refusal with {text:?}"), async || {
            match self.run(&["create", "--dry-run=server", "-f", "-"], Some(&object.to_string())).await {
                Ok(_) => Ok(None),
                Err(error) if error.to_string().contains(text) => Ok(Some(())),
                Err(error) => Err(error),
            }
        })
        .await
    }
}

/// Polls until there is a value.
pub(crate) async fn wait_for<T>(
    description: &str,
    mut poll: impl AsyncFnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        if let Some(value) = poll().await? {
            return Ok(value);
        }
        if Instant::now() > deadline {
            bail!("waited {} s for {description}", TIMEOUT.as_secs());
        }
        tokio::time::sleep(POLL_INTERVAL).await; // bounded poll
    }
}
