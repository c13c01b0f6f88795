//! The environment of git; fetches from real servers are in the program tests.

use std::{
    collections::BTreeMap,
    path::Path,
    process::{Command, Stdio},
};

use super::settings::environment;
use crate::phase::fetch::address::{Access, Repository};

fn repository(url: &str, access: Access) -> Repository {
    Repository { url: url.into(), access }
}

fn password() -> Access {
    Access::Password { scope: "https://host".into(), user: "me".into(), password: "it's %s \\ x".into() }
}

/// Returns the environment with the search path of the machine.
fn git_environment(inherited: &[(&str, &str)], access: Access) -> BTreeMap<String, String> {
    let mut inherited: BTreeMap<String, String> =
        inherited.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    inherited.insert("PATH".into(), "/usr/local/bin:/usr/bin:/bin".into());
    inherited.insert("HOME".into(), "/nonexistent".into());
    let repository = repository("https://host/a.git", access);
    environment(&inherited, &repository, Path::new("/unused")).unwrap()
}

fn git(env: &BTreeMap<String, String>, args: &[&str], input: &str) -> String {
    use std::io::Write as _;
    let mut child = Command::new("git")
        .args(args)
        .env_clear()
        .envs(env)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
}

#[test]
fn git_gets_password_for_its_host_only() {
    let env = git_environment(&[], password());
    let fill = |host: &str| git(&env, &["credential", "fill"], &format!("protocol=https\nhost={host}\n\n"));
    let answer = fill("host");
    assert!(answer.contains("username=me\npassword=it's %s \\ x\n"), "{answer}");
    assert!(!fill("elsewhere").contains("password"));
    assert!(!fill("host:8443").contains("password"));
}

#[test]
fn settings_of_the_pod_stay_and_ours_take_precedence() {
    let theirs = [
        ("GIT_CONFIG_COUNT", "3"),
        ("GIT_CONFIG_KEY_0", "http.extraHeader"),
        ("GIT_CONFIG_VALUE_0", "X-Team: a"),
        ("GIT_CONFIG_KEY_1", "core.hooksPath"),
        ("GIT_CONFIG_VALUE_1", "/tmp/hooks"),
        ("GIT_CONFIG_KEY_2", "protocol.ext.allow"),
        ("GIT_CONFIG_VALUE_2", "always"),
        ("GIT_DIR", "/elsewhere"),
        ("GIT_ALLOW_PROTOCOL", "ext"),
    ];
    let env = git_environment(&theirs, Access::Public);
    let read = |key: &str| git(&env, &["config", "--get", key], "").trim().to_owned();
    assert_eq!(read("http.extraHeader"), "X-Team: a");
    assert_eq!(read("core.hooksPath"), "/dev/null");
    assert_eq!(read("protocol.allow"), "never");
    assert_eq!(read("protocol.ext.allow"), "never");
    assert!(!env.contains_key("GIT_DIR") && !env.contains_key("GIT_ALLOW_PROTOCOL"));
}

#[test]
fn files_of_the_machine_are_allowed_for_a_source_that_is_one() {
    for (url, expected) in [("https://host/a.git", "never"), ("file:///srv/a.git", "always")] {
        let repository = repository(url, Access::Public);
        let env = environment(&BTreeMap::new(), &repository, Path::new("/unused")).unwrap();
        let number = env
            .iter()
            .find_map(|(name, value)| {
                (value == "protocol.file.allow").then(|| name.rsplit('_').next().unwrap())
            })
            .unwrap();
        assert_eq!(env[&format!("GIT_CONFIG_VALUE_{number}")], expected);
    }
}
