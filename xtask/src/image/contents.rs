//! What is in the two images: accounts, certificates, folders, programs, and how they start.

use std::{collections::BTreeMap, fmt::Write as _, path::Path};

use anyhow::{Context as _, ensure};

use super::{
    check::Trial,
    engine::Engine,
    spec::Settings,
    tree::{Content, Kind, Node, Tree},
};

/// User and group of both images, those that `job-spec` gives to pods. Its name and home folder are those of stock
/// executor images: files that a workspace mounts there are found.
const USER: u32 = 1002;
const GROUP: u32 = 1000;
const USER_NAME: &str = "cnb";
const HOME: &str = "home/cnb";

/// Where the api-server keeps its data, unless its arguments say otherwise.
const DATA: &str = "data";

/// Where our programs lie; the folder is on every search path.
const PROGRAMS: &str = "usr/local/bin";
const SEARCH_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// Where every TLS library looks first.
const CERTIFICATES: &str = "etc/ssl/certs/ca-certificates.crt";
/// Where Debian's package keeps them one by one.
const SINGLE_CERTIFICATES: &str = "usr/share/ca-certificates";

/// The packages of the executor's image: what terraform calls (git, ssh), what its provisioners and modules expect of a
/// machine, and what stock images have besides (curl, jq).
pub(super) const EXECUTOR_PACKAGES: &[&str] = &[
    "base-files",
    "bash",
    "ca-certificates",
    "coreutils",
    "curl",
    "dash",
    "findutils",
    "git",
    "grep",
    "gzip",
    "jq",
    "openssh-client",
    "sed",
    "tar",
];

/// The packages of the api-server's image, of which only the certificates are kept.
pub(super) const API_SERVER_PACKAGES: &[&str] = &["ca-certificates"];

/// Turns the files of packages into the lower layer of the executor's image.
///
/// # Errors
/// The packages hold no certificates.
pub(super) fn executor_system(mut packages: Tree, extra_certificates: &str) -> anyhow::Result<Tree> {
    let certificates = certificates(&mut packages, extra_certificates)?;
    packages.file(CERTIFICATES, 0o644, certificates)?;
    accounts(&mut packages, "/bin/bash")?;
    packages.put(HOME, folder_of_user(0o755))?;
    packages.put("var/tmp", Node::of_root(Kind::Folder, 0o1777))?;
    Ok(packages)
}

/// Makes the lower layer of the api-server's image. The programs are static, so there is no library, and no shell.
///
/// # Errors
/// The packages hold no certificates.
pub(super) fn api_server_system(mut packages: Tree, extra_certificates: &str) -> anyhow::Result<Tree> {
    let mut tree = Tree::default();
    let certificates = certificates(&mut packages, extra_certificates)?;
    for licence in packages.take("usr/share/doc/ca-certificates") {
        tree.put(licence.0, licence.1)?;
    }
    tree.file(CERTIFICATES, 0o644, certificates)?;
    accounts(&mut tree, "/sbin/nologin")?;
    tree.put(HOME, folder_of_user(0o755))?;
    tree.put(DATA, folder_of_user(0o700))?;
    Ok(tree)
}

/// The layer with one program.
///
/// # Errors
/// Never in practice: the path is a fixed one.
pub(super) fn program(name: &str, file: &Path) -> anyhow::Result<Tree> {
    let mut tree = Tree::default();
    let content = Kind::File(Content::At(file.to_path_buf()));
    tree.put(format!("{PROGRAMS}/{name}"), Node::of_root(content, 0o755))?;
    Ok(tree)
}

/// Takes the single certificates out of the files of packages, and makes one file of them, as Debian's
/// `update-ca-certificates` would.
fn certificates(packages: &mut Tree, extra: &str) -> anyhow::Result<String> {
    let mut all = String::new();
    for (path, node) in packages.take(SINGLE_CERTIFICATES) {
        if let Kind::File(Content::Bytes(bytes)) = node.kind {
            let text = String::from_utf8(bytes).with_context(|| format!("/{path} is not PEM"))?;
            all.push_str(text.trim_end());
            all.push('\n');
        }
    }
    ensure!(!all.is_empty(), "the packages hold no certificates under /{SINGLE_CERTIFICATES}");
    all.push_str(extra);
    Ok(all)
}

/// The files by which programs find users, and names of machines.
fn accounts(tree: &mut Tree, shell: &str) -> anyhow::Result<()> {
    let passwd = format!(
        "root:x:0:0:root:/root:{shell}\n\
         {USER_NAME}:x:{USER}:{GROUP}::/{HOME}:{shell}\n\
         nobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin\n"
    );
    tree.file("etc/passwd", 0o644, passwd)?;
    tree.file("etc/group", 0o644, format!("root:x:0:\n{USER_NAME}:x:{GROUP}:\nnogroup:x:65534:\n"))?;
    // Without it, a static program would look for libraries that are not there.
    tree.file("etc/nsswitch.conf", 0o644, "passwd: files\ngroup: files\nhosts: files dns\n")?;
    tree.put("tmp", Node::of_root(Kind::Folder, 0o1777))
}

fn folder_of_user(mode: u32) -> Node {
    Node { kind: Kind::Folder, mode, user: USER, group: GROUP }
}

/// What both images say about themselves.
#[derive(Debug, Clone)]
pub(super) struct About {
    pub(super) version: String,
    /// The commit, with a mark if files were changed since.
    pub(super) revision: Option<String>,
    pub(super) created: String,
}

impl About {
    fn labels(&self, title: &str, description: &str) -> BTreeMap<String, String> {
        let key = |name: &str| format!("org.opencontainers.image.{name}");
        let mut labels = BTreeMap::from([
            (key("title"), title.to_owned()),
            (key("description"), description.to_owned()),
            (key("version"), self.version.clone()),
            (key("created"), self.created.clone()),
            (key("licenses"), env!("CARGO_PKG_LICENSE").to_owned()),
        ]);
        if let Some(revision) = &self.revision {
            labels.insert(key("revision"), revision.clone());
        }
        labels
    }
}

/// How the executor's image starts.
pub(super) fn executor_settings(about: &About, engine: Option<&Engine>) -> Settings {
    let mut labels = about.labels("executor", "Runs one step of a Terraform job, then ends");
    if let Some(engine) = engine {
        let mut value = engine.name.to_owned();
        if let Some(version) = &engine.version {
            let _ = write!(value, " {version}");
        }
        labels.insert("ephemeral-agents.dev/engine".to_owned(), value);
    }
    Settings {
        user: format!("{USER}:{GROUP}"),
        entry_point: vec![format!("/{PROGRAMS}/executor")],
        arguments: Vec::new(),
        environment: vec![format!("PATH={SEARCH_PATH}"), format!("HOME=/{HOME}"), "LANG=C.UTF-8".to_owned()],
        working_folder: format!("/{HOME}"),
        ports: Vec::new(),
        labels,
    }
}

/// How the api-server's image starts: in a cluster, reachable from other pods.
pub(super) fn api_server_settings(about: &About) -> Settings {
    let data = format!("/{DATA}");
    let arguments = ["serve", "--data-dir", &data, "--listen", "0.0.0.0:8080", "--backend", "kubernetes"];
    Settings {
        user: format!("{USER}:{GROUP}"),
        entry_point: vec![format!("/{PROGRAMS}/api-server")],
        arguments: arguments.map(str::to_owned).to_vec(),
        environment: vec![format!("PATH={SEARCH_PATH}"), format!("HOME=/{HOME}")],
        working_folder: "/".to_owned(),
        ports: vec!["8080/tcp".to_owned()],
        labels: about.labels("api-server", "HTTP API and orchestrator of throwaway Terraform executors"),
    }
}

/// What `--check` starts in the image of a program.
pub(super) fn trials(program: &str, engine: Option<&Engine>) -> Vec<Trial> {
    if program == "api-server" {
        return vec![Trial::of(&["api-server", "--version"])];
    }
    let mut trials = vec![
        // Without its input it says what is missing, and ends with the exit code for that (docs/reference/exit-codes.md).
        Trial::ending_with(11, &["executor"]),
        Trial::of(&["git", "--version"]),
        Trial::of(&["ssh", "-V"]),
        Trial::of(&["curl", "--version"]),
        Trial::of(&["jq", "--version"]),
        Trial::of(&["sh", "-c", "mktemp"]),
        Trial::of(&["bash", "-c", "id"]),
    ];
    trials.extend(engine.map(|engine| Trial::of(&[engine.name, "version"])));
    trials
}
