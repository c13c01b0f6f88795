//! Git servers on the loopback interface: `git http-backend` behind http or https, and a real sshd.

use std::{
    collections::BTreeMap,
    fs,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::State,
    http::{HeaderName, HeaderValue, Request, StatusCode, request::Parts},
    response::{IntoResponse as _, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use rustls::{
    ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use tokio::{
    io::{AsyncWriteExt as _, copy_bidirectional},
    net::{TcpListener, TcpStream},
    process::Command,
};
use tokio_rustls::TlsAcceptor;

use super::{find, search_path, tool};

/// Runs git with an identity.
pub(crate) fn git(args: &[&str], folder: &Path) -> String {
    let identity = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"];
    // Submodules of this machine are allowed where a test adds them.
    let local = ["-c", "protocol.file.allow=always"];
    tool("git", &[&identity[..], &local, args].concat(), folder)
}

/// Commits these files to `main` of a bare repository, which is created if it does not exist, and returns
/// the id of the commit.
pub(crate) fn commit(bare: &Path, files: &[(&str, &str)]) -> String {
    let work = bare.with_extension("work");
    if !work.exists() {
        fs::create_dir_all(&work).unwrap();
        git(&["init", "--quiet", "--initial-branch=main"], &work);
        git(&["init", "--quiet", "--bare", "--initial-branch=main", bare.to_str().unwrap()], &work);
        git(&["remote", "add", "origin", bare.to_str().unwrap()], &work);
    }
    for (name, text) in files {
        fs::create_dir_all(work.join(name).parent().unwrap()).unwrap();
        fs::write(work.join(name), text).unwrap();
    }
    git(&["add", "--all", "--force", "."], &work);
    git(&["commit", "--quiet", "--allow-empty", "-m", "a commit"], &work);
    git(&["push", "--quiet", "--force", "origin", "HEAD"], &work);
    git(&["rev-parse", "HEAD"], &work)
}

/// What a server does, and what it has seen.
#[derive(Debug, Default)]
pub(crate) struct Behavior {
    /// User and password that it wants.
    pub(crate) credential: Option<(String, String)>,
    /// It speaks the first version of the protocol, which serves no commits by their id.
    pub(crate) old_protocol: bool,
    /// Requests go to this server.
    pub(crate) redirect_to: Option<String>,
    /// The value of every `Authorization` header.
    pub(crate) authorizations: Vec<String>,
    pub(crate) requests: Vec<String>,
}

/// Serves the repositories of a folder over http.
pub(crate) struct GitServer {
    pub(crate) url: String,
    pub(crate) port: u16,
    behavior: Arc<Mutex<Behavior>>,
}

#[derive(Clone)]
struct Shared {
    root: PathBuf,
    behavior: Arc<Mutex<Behavior>>,
}

impl GitServer {
    pub(crate) async fn start(root: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let behavior = Arc::new(Mutex::new(Behavior::default()));
        let shared = Shared { root: root.to_owned(), behavior: Arc::clone(&behavior) };
        let app = Router::new().fallback(answer).with_state(shared);
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url: format!("http://127.0.0.1:{port}"), port, behavior }
    }

    pub(crate) fn with<T>(&self, access: impl FnOnce(&mut Behavior) -> T) -> T {
        access(&mut self.behavior.lock().unwrap())
    }

    /// Starts a TLS server in front of it, whose certificate a private authority has signed; returns its
    /// address and the file with the certificate of the authority.
    pub(crate) async fn with_tls(&self, folder: &Path) -> (String, PathBuf) {
        tls_in_front(self.port, folder).await
    }
}

/// Starts a TLS server in front of a port of this machine; returns its address and the file with the
/// certificate of the authority.
pub(crate) async fn tls_in_front(port: u16, folder: &Path) -> (String, PathBuf) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    certificates(folder);
    let chain = vec![CertificateDer::from_pem_file(folder.join("cert.pem")).unwrap()];
    let key = PrivateKeyDer::from_pem_file(folder.join("key.pem")).unwrap();
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, behind) = (listener.local_addr().unwrap(), port);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let mut plain = TcpStream::connect(("127.0.0.1", behind)).await.unwrap();
                let _ = copy_bidirectional(&mut stream, &mut plain).await;
            });
        }
    });
    (format!("https://127.0.0.1:{}", address.port()), folder.join("ca.pem"))
}

/// Makes a private authority and a certificate for the loopback interface.
fn certificates(folder: &Path) {
    let openssl = |line: &str| tool("openssl", &line.split(' ').collect::<Vec<_>>(), folder);
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    openssl(&format!("req -x509 {key} -keyout ca.key -out ca.pem -subj /CN=private-authority -days 2"));
    openssl(&format!("req {key} -keyout key.pem -out request.pem -subj /CN=localhost"));
    fs::write(folder.join("names"), "subjectAltName=DNS:localhost,DNS:services.example,IP:127.0.0.1\n")
        .unwrap();
    openssl(
        "x509 -req -in request.pem -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 \
         -extfile names -out cert.pem",
    );
}

async fn answer(State(shared): State<Shared>, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    let old_protocol = {
        let mut behavior = shared.behavior.lock().unwrap();
        if let Some(refusal) = behavior.refuse(&parts) {
            return refusal;
        }
        behavior.old_protocol
    };
    run_backend(&shared.root, &parts, &to_bytes(body, usize::MAX).await.unwrap(), old_protocol).await
}

impl Behavior {
    /// Records a request, and answers it if it does not get as far as git.
    fn refuse(&mut self, parts: &Parts) -> Option<Response> {
        let path = parts.uri.path();
        self.requests.push(format!("{} {path}", parts.method));
        let authorization = header(parts, "authorization");
        if !authorization.is_empty() {
            self.authorizations.push(authorization.clone());
        }
        if let Some(target) = &self.redirect_to {
            let target = format!("{target}{path}?{}", parts.uri.query().unwrap_or_default());
            return Some((StatusCode::FOUND, [("location", target)]).into_response());
        }
        let (user, password) = self.credential.as_ref()?;
        let expected = STANDARD.encode(format!("{user}:{password}"));
        (authorization != format!("Basic {expected}")).then(|| {
            (StatusCode::UNAUTHORIZED, [("www-authenticate", "Basic realm=\"git\"")]).into_response()
        })
    }
}

fn header(parts: &Parts, name: &str) -> String {
    parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}

async fn run_backend(root: &Path, parts: &Parts, body: &[u8], old_protocol: bool) -> Response {
    let mut env = BTreeMap::from([
        ("PATH", search_path()),
        ("HOME", "/nonexistent".to_owned()),
        ("GIT_PROJECT_ROOT", root.to_str().unwrap().to_owned()),
        ("GIT_HTTP_EXPORT_ALL", "1".to_owned()),
        ("GIT_CONFIG_COUNT", "2".to_owned()),
        ("GIT_CONFIG_KEY_0", "safe.directory".to_owned()),
        ("GIT_CONFIG_VALUE_0", "*".to_owned()),
        ("GIT_CONFIG_KEY_1", "uploadpack.allowFilter".to_owned()),
        ("GIT_CONFIG_VALUE_1", "true".to_owned()),
        ("PATH_INFO", parts.uri.path().to_owned()),
        ("QUERY_STRING", parts.uri.query().unwrap_or_default().to_owned()),
        ("REQUEST_METHOD", parts.method.to_string()),
        ("CONTENT_TYPE", header(parts, "content-type")),
        ("CONTENT_LENGTH", body.len().to_string()),
        ("HTTP_CONTENT_ENCODING", header(parts, "content-encoding")),
    ]);
    if !old_protocol {
        env.insert("GIT_PROTOCOL", header(parts, "git-protocol"));
    }
    let mut child = Command::new("git")
        .arg("http-backend")
        .env_clear()
        .envs(env)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (mut stdin, body) = (child.stdin.take().unwrap(), body.to_vec());
    tokio::spawn(async move {
        let _ = stdin.write_all(&body).await;
    });
    cgi_response(&child.wait_with_output().await.unwrap().stdout)
}

fn cgi_response(output: &[u8]) -> Response {
    let end = output.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("the backend answers");
    let (head, body) = (String::from_utf8_lossy(&output[..end]), &output[end + 4..]);
    let mut response = Response::new(Body::from(body.to_vec()));
    for (name, value) in head.lines().filter_map(|line| line.split_once(": ")) {
        if name == "Status" {
            *response.status_mut() = value[..3].parse().unwrap();
        } else {
            let name: HeaderName = name.parse().unwrap();
            response.headers_mut().insert(name, HeaderValue::from_str(value).unwrap());
        }
    }
    response
}

/// Serves every repository of this machine over ssh, for one key.
pub(crate) struct SshServer {
    /// `ssh://user@127.0.0.1:port`.
    pub(crate) url: String,
    /// The private key that it accepts.
    pub(crate) key: String,
}

impl SshServer {
    /// Starts it; `None` without sshd, which is not an error outside of CI.
    pub(crate) async fn start(folder: &Path) -> Option<Self> {
        let sshd = ["/usr/sbin/sshd", "/usr/local/sbin/sshd"].map(PathBuf::from);
        let Some(sshd) = sshd.into_iter().find(|file| file.is_file()).or_else(|| find("sshd")) else {
            super::have("sshd");
            return None;
        };
        // sshd of root wants its folder, which the service of a distribution makes.
        let _ = fs::create_dir_all("/run/sshd");
        for name in ["host", "client"] {
            tool("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", name], folder);
        }
        fs::copy(folder.join("client.pub"), folder.join("authorized")).unwrap();
        let path = |name: &str| folder.join(name).display().to_string();
        let config = format!(
            "HostKey {}\nAuthorizedKeysFile {}\nStrictModes no\nUsePAM no\nPidFile none\n\
             PasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin yes\n\
             SetEnv PATH={}\n",
            path("host"),
            path("authorized"),
            search_path()
        );
        fs::write(folder.join("sshd_config"), config).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let config = folder.join("sshd_config");
        // One process for each connection, as inetd does.
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let stream = stream.into_std().unwrap();
                stream.set_nonblocking(false).unwrap();
                let input = OwnedFd::from(stream.try_clone().unwrap());
                let mut child = Command::new(&sshd)
                    .args(["-i", "-e", "-f"])
                    .arg(&config)
                    .stdin(Stdio::from(input))
                    .stdout(Stdio::from(OwnedFd::from(stream)))
                    .stderr(Stdio::null())
                    .kill_on_drop(true)
                    .spawn()
                    .unwrap();
                tokio::spawn(async move { child.wait().await });
            }
        });
        let user = tool("id", &["-un"], folder);
        let key = fs::read_to_string(folder.join("client")).unwrap();
        Some(Self { url: format!("ssh://{user}@127.0.0.1:{port}"), key })
    }
}
