//! A PostgreSQL server for the tests of this process, with a new database for each test.
//!
//! It lives in a temporary folder, listens on a socket in it, and ends with this process however that ends:
//! its shell waits for the end of the standard input. PostgreSQL refuses to run as root, so then another user
//! runs it.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    os::unix::{
        fs::{PermissionsExt as _, chown},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::LazyLock,
};

const SCRIPT: &str = r#"
set -eu
bin=$1 folder=$2
"$bin/initdb" --pgdata="$folder/data" --username=postgres --auth=trust --encoding=UTF8 --locale=C \
  --no-sync >"$folder/log" 2>&1
"$bin/postgres" -D "$folder/data" -k "$folder" -c listen_addresses= -c max_connections=300 \
  -c fsync=off -c full_page_writes=off -c synchronous_commit=off >>"$folder/log" 2>&1 &
server=$!
until "$bin/pg_isready" --quiet --host="$folder"; do
  kill -0 "$server"
  sleep 0.05
done
echo ready
cat >/dev/null
kill -QUIT "$server"
wait "$server" || true
rm -rf "$folder"
"#;

/// A user that is not root, for a server that root starts.
struct User {
    uid: u32,
    gid: u32,
}

struct Server {
    programs: PathBuf,
    folder: PathBuf,
    user: Option<User>,
    /// The server ends when its standard input is closed.
    _shell: Child,
}

static SERVER: LazyLock<Option<Server>> = LazyLock::new(start);

/// Returns the address of a new database; `None` if PostgreSQL is not installed. Prints a note then, and
/// fails in CI.
pub(crate) fn new_database() -> Option<String> {
    let Some(server) = &*SERVER else {
        assert!(!in_ci(), "PostgreSQL is not installed, and CI must not skip tests");
        eprintln!("SKIPPED: PostgreSQL is not installed (Debian package postgresql)");
        return None;
    };
    let name = format!("test_{}", uuid::Uuid::new_v4().simple());
    let mut command = server.command("createdb");
    let created =
        command.arg("--host").arg(&server.folder).args(["--username=postgres", &name]).output().unwrap();
    assert!(created.status.success(), "{}", String::from_utf8_lossy(&created.stderr));
    Some(format!("postgres://postgres@localhost/{name}?host={}", server.folder.display()))
}

impl Server {
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        as_user(&mut command, self.user.as_ref(), &self.folder);
        command
    }
}

fn as_user(command: &mut Command, user: Option<&User>, folder: &Path) {
    command.env("LC_ALL", "C").current_dir(folder);
    if let Some(User { uid, gid }) = user {
        command.uid(*uid).gid(*gid);
    }
}

fn start() -> Option<Server> {
    let programs = programs()?;
    let folder = tempfile::Builder::new().prefix("postgres-").tempdir_in("/tmp").unwrap().keep();
    let is_root =
        fs::metadata("/proc/self").is_ok_and(|process| std::os::unix::fs::MetadataExt::uid(&process) == 0);
    let user = is_root.then(other_user);
    if let Some(User { uid, gid }) = &user {
        chown(&folder, Some(*uid), Some(*gid)).unwrap();
    }
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
    let mut command = Command::new("sh");
    as_user(&mut command, user.as_ref(), &folder);
    command.args(["-c", SCRIPT, "sh"]).arg(&programs).arg(&folder);
    // Ctrl-C ends the tests, and their end ends the server.
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0);
    let mut shell = command.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(shell.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let log = || fs::read_to_string(folder.join("log")).unwrap_or_default();
    assert_eq!(line.trim(), "ready", "PostgreSQL did not start: {}", log());
    Some(Server { programs, _shell: shell, folder, user })
}

/// Returns the folder of the programs of the newest version.
fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let numbered =
        |version: fs::DirEntry| Some((version.file_name().to_str()?.parse().ok()?, version.path()));
    let newest = versions.filter_map(numbered).max_by_key(|(number, _): &(u32, _)| *number);
    let debian = newest.map(|(_, path)| path.join("bin"));
    let path = path_variable();
    debian.into_iter().chain(std::env::split_paths(&path)).find(|folder| folder.join("initdb").is_file())
}

/// Returns the user `postgres` of the Debian package, or `nobody`.
fn other_user() -> User {
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let find = |name: &str| {
        let line = users.lines().find(|line| line.starts_with(&format!("{name}:")))?;
        let mut fields = line.split(':').skip(2);
        Some(User { uid: fields.next()?.parse().ok()?, gid: fields.next()?.parse().ok()? })
    };
    find("postgres").or_else(|| find("nobody")).expect("root needs another user for PostgreSQL")
}

#[expect(clippy::disallowed_methods, reason = "CI must not skip tests")]
fn in_ci() -> bool {
    std::env::var_os("CI").is_some()
}

#[expect(clippy::disallowed_methods, reason = "to find PostgreSQL")]
fn path_variable() -> std::ffi::OsString {
    std::env::var_os("PATH").unwrap_or_default()
}
