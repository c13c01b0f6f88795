//! The memory of the api-server under clients that try to exhaust it,
//! compared with the limit that `deploy/` ships.
//!
//! Each load gets a server of its own. While the load lasts, a user with a token must still be answered. What
//! is measured is `VmHWM`: the most memory that the process ever had.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context as _, ensure};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{Instant, sleep, timeout},
};

use crate::{
    server::{self, Options, Server},
    session::Session,
    signals,
};

const UPLOADS: usize = 50;
const UPLOAD_BYTES: usize = 250_000_000;
/// Programs that are built without optimization parse states slowly; memory that grew with them would show.
const STATE_BYTES: usize = 32_000_000;
const HALF_HEADS: usize = 3_000;
const FOLLOWERS: usize = 500;
const LOG_BYTES: usize = 8 * 1024 * 1024;

/// A user is answered within this time.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
const UPLOAD_TIMEOUT: Duration = Duration::from_mins(10);
/// The memory is measured when it has not grown for this time.
const SETTLED: Duration = Duration::from_secs(3);
const POLL_INTERVAL: Duration = Duration::from_millis(250);

#[derive(Debug, Clone, Copy)]
enum Load {
    Uploads,
    HalfHeads,
    Plan,
    State,
    Followers,
}

impl Load {
    const ALL: [Self; 5] = [Self::Uploads, Self::HalfHeads, Self::Plan, Self::State, Self::Followers];

    fn name(self) -> String {
        match self {
            Self::Uploads => format!("{UPLOADS} uploads of {UPLOAD_BYTES} bytes without a token, held open"),
            Self::HalfHeads => format!("{HALF_HEADS} half-sent heads"),
            Self::Plan => format!("a plan of {UPLOAD_BYTES} bytes"),
            Self::State => format!("a state of {STATE_BYTES} bytes, written and read"),
            Self::Followers => format!("{FOLLOWERS} followers that never read"),
        }
    }
}

/// Runs every load.
///
/// # Errors
/// A server needs more memory than the shipped limit, or does not answer a user.
pub fn run() -> anyhow::Result<()> {
    signals::block_on(signals::until_signal(run_all()))
}

async fn run_all() -> anyhow::Result<()> {
    let session = Session::new()?;
    raise_file_limit()?;
    let limit = shipped_limit(&session.root)?;
    session.ui.note(&format!("the shipped limit is {} KiB", limit / 1024));
    for load in Load::ALL {
        session.ui.title(&load.name());
        let peak = measure(&session, load).await.with_context(|| load.name())?;
        session.ui.success(&format!("VmHWM {} KiB", peak / 1024));
        ensure!(peak < limit, "{}: VmHWM is {peak} bytes, the shipped limit is {limit}", load.name());
    }
    Ok(())
}

async fn measure(session: &Session, load: Load) -> anyhow::Result<u64> {
    let folder = TempDir::new().context("cannot create a folder")?;
    let mut target = Target::start(session, folder.path()).await?;
    let held = target.apply(load).await?;
    let peak = target.settled_peak().await?;
    let (status, _) = target.user("GET", "/v1/organizations", &json!(null)).await?;
    ensure!(status == 200, "a user was answered with {status} under the load");
    drop(held);
    target.server.stop().await;
    Ok(peak)
}

/// A server with an attempt that this program has claimed.
struct Target {
    server: Server,
    address: String,
    token: String,
    attempt: String,
    session_token: String,
}

impl Target {
    async fn start(session: &Session, folder: &Path) -> anyhow::Result<Self> {
        // In place of the executor: leaves the credentials of its attempt, and waits.
        let (script, found) = (folder.join("executor.sh"), folder.join("attempt"));
        let text = format!(
            "#!/bin/sh\nprintf '%s\\n%s\\n' \"$EphemeralAttemptUrl\" \"$EphemeralAttemptToken\" > {0}.new\n\
             mv {0}.new {0}\nexec sleep 3600\n",
            found.display()
        );
        fs::write(&script, text)?;
        fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
        let mut options = Options::local(session)?;
        let program = options.arguments.last_mut().context("the executor is the last option")?;
        *program = script.display().to_string();
        let server = Server::start(session, folder, &options).await?;
        let address = server.address().trim_start_matches("http://").to_owned();
        let token = server::admin_token(folder)?;
        let mut target =
            Self { server, address, token, attempt: String::new(), session_token: String::new() };
        target.create_job(folder).await?;
        target.claim(&found).await?;
        Ok(target)
    }

    async fn create_job(&self, folder: &Path) -> anyhow::Result<()> {
        let organization = self.create("/v1/organizations", json!({ "name": "memory" })).await?;
        let base = format!("/v1/organizations/{organization}");
        let workspace =
            self.create(&format!("{base}/workspaces"), json!({ "name": "net", "source": folder })).await?;
        let tcl = json!({ "flow": [{ "type": "terraformApply", "step": 100 }] }).to_string();
        let template = self.create(&format!("{base}/templates"), json!({ "name": "t", "tcl": tcl })).await?;
        self.create(&format!("/v1/workspaces/{workspace}/jobs"), json!({ "templateId": template })).await?;
        Ok(())
    }

    async fn claim(&mut self, found: &Path) -> anyhow::Result<()> {
        let start = Instant::now();
        let text = loop {
            match fs::read_to_string(found) {
                Ok(text) => break text,
                Err(error) if start.elapsed() > Duration::from_mins(1) => {
                    return Err(error).context("the local backend did not start the attempt");
                }
                Err(_) => sleep(POLL_INTERVAL).await,
            }
        };
        let (url, token) = text.trim().split_once('\n').context("the attempt has a URL and a token")?;
        let path = url.find("/executor/").context("the URL is that of an attempt")?;
        url[path..].clone_into(&mut self.attempt);
        let body = json!({ "executorId": "memory", "host": "memory" });
        let (status, claim) = self.send("POST", &format!("{}/claim", self.attempt), token, &body).await?;
        ensure!(status == 200, "the claim was answered with {status}: {claim}");
        let session = claim["sessionToken"].as_str().context("the claim has a session token")?;
        session.clone_into(&mut self.session_token);
        Ok(())
    }

    /// Puts the load on the server. It lasts until the connections are dropped.
    async fn apply(&self, load: Load) -> anyhow::Result<Vec<TcpStream>> {
        let mut held = Vec::new();
        match load {
            Load::Uploads => {
                for _ in 0..UPLOADS {
                    held.push(self.begin_upload_without_token().await?);
                }
            }
            Load::HalfHeads => {
                for _ in 0..HALF_HEADS {
                    let mut connection = TcpStream::connect(&self.address).await?;
                    // The server may have closed it already, in favor of later ones.
                    let _ = connection.write_all(b"GET /v1/organizations HTTP/1.1\r\nhost: a\r\nx: ").await;
                    held.push(connection);
                }
            }
            Load::Plan => self.upload("PUT", "plan", UPLOAD_BYTES, ("", "")).await?,
            Load::State => {
                let begin = r#"{"version":4,"serial":1,"lineage":"l","resources":[],"filler":""#;
                self.upload("POST", "state", STATE_BYTES, (begin, r#""}"#)).await?;
                ensure!(self.download("state").await? > STATE_BYTES, "the state was not read completely");
            }
            Load::Followers => {
                self.fill_log().await?;
                let id = self.attempt.rsplit('/').next().unwrap_or_default();
                let path = format!("/v1/attempts/{id}/log/stream");
                for _ in 0..FOLLOWERS {
                    let mut connection = TcpStream::connect(&self.address).await?;
                    connection.write_all(self.head("GET", &path, &self.token, 0).as_bytes()).await?;
                    held.push(connection);
                }
            }
        }
        Ok(held)
    }

    async fn begin_upload_without_token(&self) -> anyhow::Result<TcpStream> {
        let mut connection = TcpStream::connect(&self.address).await?;
        let head = self.head("PUT", &format!("{}/plan", self.attempt), "nonsense", UPLOAD_BYTES);
        connection.write_all(head.as_bytes()).await?;
        // As much as the server takes.
        let piece = vec![b'x'; 1024 * 1024];
        for _ in 0..UPLOAD_BYTES / piece.len() {
            let sent = timeout(Duration::from_millis(100), connection.write_all(&piece)).await;
            if !matches!(sent, Ok(Ok(()))) {
                break;
            }
        }
        Ok(connection)
    }

    /// Sends a large body with the session token, from a piece of constant size.
    async fn upload(
        &self,
        method: &str,
        path: &str,
        size: usize,
        (begin, end): (&str, &str),
    ) -> anyhow::Result<()> {
        let filler = vec![b'x'; 1024 * 1024];
        let pieces = size.div_ceil(filler.len());
        let length = begin.len() + pieces * filler.len() + end.len();
        let mut connection = TcpStream::connect(&self.address).await?;
        let path = format!("{}/{path}", self.attempt);
        let send = async {
            connection.write_all(self.head(method, &path, &self.session_token, length).as_bytes()).await?;
            connection.write_all(begin.as_bytes()).await?;
            for _ in 0..pieces {
                connection.write_all(&filler).await?;
            }
            connection.write_all(end.as_bytes()).await?;
            let mut answer = String::new();
            connection.read_to_string(&mut answer).await?;
            anyhow::Ok(answer)
        };
        let answer = timeout(UPLOAD_TIMEOUT, send).await.context("the upload took too long")??;
        ensure!(answer.starts_with("HTTP/1.1 200"), "the upload was answered with {answer}");
        Ok(())
    }

    /// Reads an answer and returns its size.
    async fn download(&self, path: &str) -> anyhow::Result<usize> {
        let mut connection = TcpStream::connect(&self.address).await?;
        let head = self.head("GET", &format!("{}/{path}", self.attempt), &self.session_token, 0);
        connection.write_all(head.as_bytes()).await?;
        let (mut size, mut piece) = (0, vec![0; 1024 * 1024]);
        let read = async {
            loop {
                match connection.read(&mut piece).await? {
                    0 => return anyhow::Ok(()),
                    read => size += read,
                }
            }
        };
        timeout(UPLOAD_TIMEOUT, read).await.context("the download took too long")??;
        Ok(size)
    }

    async fn fill_log(&self) -> anyhow::Result<()> {
        let line = format!("{}\n", "x".repeat(127));
        let piece = line.repeat(4096);
        for offset in (0..LOG_BYTES).step_by(piece.len()) {
            let path = format!("{}/log?offset={offset}", self.attempt);
            let (status, _) = self.exchange("POST", &path, &self.session_token, piece.as_bytes()).await?;
            ensure!(status == 200, "the log was answered with {status}");
        }
        Ok(())
    }

    /// Waits until the peak has not grown for a while, and returns it in bytes.
    async fn settled_peak(&self) -> anyhow::Result<u64> {
        let (mut peak, mut since) = (self.server.peak_memory()?, Instant::now());
        while since.elapsed() < SETTLED {
            sleep(POLL_INTERVAL).await;
            let now = self.server.peak_memory()?;
            if now > peak {
                (peak, since) = (now, Instant::now());
            }
        }
        Ok(peak)
    }

    async fn create(&self, path: &str, body: Value) -> anyhow::Result<String> {
        let (status, answer) = self.user("POST", path, &body).await?;
        ensure!(status == 201, "{path} was answered with {status}: {answer}");
        Ok(answer["id"].as_str().unwrap_or_default().to_owned())
    }

    async fn user(&self, method: &str, path: &str, body: &Value) -> anyhow::Result<(u16, Value)> {
        self.send(method, path, &self.token, body).await
    }

    async fn send(
        &self,
        method: &str,
        path: &str,
        token: &str,
        body: &Value,
    ) -> anyhow::Result<(u16, Value)> {
        self.exchange(method, path, token, body.to_string().as_bytes()).await
    }

    async fn exchange(
        &self,
        method: &str,
        path: &str,
        token: &str,
        body: &[u8],
    ) -> anyhow::Result<(u16, Value)> {
        let exchange = async {
            let mut connection = TcpStream::connect(&self.address).await?;
            connection.write_all(self.head(method, path, token, body.len()).as_bytes()).await?;
            connection.write_all(body).await?;
            let mut answer = String::new();
            connection.read_to_string(&mut answer).await?;
            anyhow::Ok(answer)
        };
        let answer =
            timeout(ANSWER_TIMEOUT, exchange).await.context("the server did not answer in time")??;
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
        let body = answer.split_once("\r\n\r\n").and_then(|(_, body)| serde_json::from_str(body).ok());
        Ok((status.context("the answer has no status")?, body.unwrap_or_default()))
    }

    fn head(&self, method: &str, path: &str, token: &str, length: usize) -> String {
        format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\nauthorization: Bearer {token}\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n",
            self.address
        )
    }
}

/// Reads the memory limit of the container in bytes.
fn shipped_limit(root: &Path) -> anyhow::Result<u64> {
    let path = root.join("deploy/kustomize/base/deployment.yaml");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let deployment: Value = serde_saphyr::from_str(&text)?;
    let limit = &deployment["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["memory"];
    let mebibytes = limit.as_str().and_then(|limit| limit.strip_suffix("Mi")?.parse::<u64>().ok());
    Ok(mebibytes.with_context(|| format!("expected a memory limit in Mi, found {limit}"))? * 1024 * 1024)
}

/// Allows as many open files as the system permits: each connection is one.
fn raise_file_limit() -> anyhow::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })
        .context("cannot raise the limit of open files")
}
