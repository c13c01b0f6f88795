//! Command lines and environments; clones of real repositories are in the program tests.

use std::{collections::BTreeMap, path::Path, process::Stdio};

use super::{Clone, add_access, check_commit, clone_args};
use crate::phase::fetch::address::{Access, Repository};

fn repository(access: Access) -> Repository {
    Repository { url: "https://host/a.git".into(), access }
}

fn password() -> Access {
    Access::Password { scope: "https://host".into(), user: "me".into(), password: "it's %s \\ x".into() }
}

#[test]
fn clones_history_only_to_find_a_commit() {
    let repository = repository(password());
    let mut clone = Clone {
        repository: &repository,
        branch: "main",
        commit: None,
        target: Path::new("/w/source"),
        key_file: "/w/key".into(),
    };
    let line = |clone: &Clone<'_>| clone_args(clone).join(std::ffi::OsStr::new(" ")).into_string().unwrap();
    assert_eq!(
        line(&clone),
        "clone --quiet --recurse-submodules --branch=main --depth=1 --shallow-submodules \
         -- https://host/a.git /w/source"
    );
    clone.commit = Some("0123456789");
    clone.branch = "";
    assert_eq!(line(&clone), "clone --quiet --recurse-submodules -- https://host/a.git /w/source");
}

#[test]
fn accepts_only_commit_ids() {
    assert!(check_commit("9f1c0d2e3b4a5968778695a4b3c2d1e0f1a2b3c4").is_ok());
    for bad in ["", "main", "--force", "abc", &"a".repeat(65)] {
        assert!(check_commit(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn git_gets_password_for_its_host_only() {
    let Some(git) = ["/usr/local/bin/git", "/usr/bin/git"].into_iter().find(|git| Path::new(git).exists())
    else {
        eprintln!("SKIPPED: git is not installed");
        return;
    };
    let mut env = BTreeMap::new();
    add_access(&mut env, &password(), Path::new("/unused")).unwrap();
    env.insert("PATH".into(), "/usr/local/bin:/usr/bin:/bin".into());
    env.insert("GIT_TERMINAL_PROMPT".into(), "0".into());
    let fill = |host: &str| {
        use std::io::Write as _;
        let mut child = std::process::Command::new(git)
            .args(["credential", "fill"])
            .env_clear()
            .envs(&env)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let question = format!("protocol=https\nhost={host}\n\n");
        child.stdin.take().unwrap().write_all(question.as_bytes()).unwrap();
        String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
    };
    let answer = fill("host");
    assert!(answer.contains("username=me\npassword=it's %s \\ x\n"), "{answer}");
    assert!(!fill("elsewhere").contains("password"));
}
