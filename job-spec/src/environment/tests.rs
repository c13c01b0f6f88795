//! Which variables are refused, left out and passed on.

use super::*;

#[test]
fn ordinary_variables_are_no_problem() {
    let variables = [
        ("PATH", "/opt/tools/bin"),
        ("HOME", "/home/me"),
        ("TF_LOG", "trace"),
        ("TF_LOG_PATH", "terraform.log"),
        ("TF_INPUT", "false"),
        ("TF_IN_AUTOMATION", "yes"),
        ("TF_PLUGIN_CACHE_DIR", "/plugins"),
        ("TF_CLI_CONFIG_FILE", "/etc/terraformrc"),
        ("TF_WORKSPACE", "default"),
        ("TF_VAR_region", "eu"),
        ("TF_HTTP_USERNAME", "reader"),
        ("GIT_SSH_COMMAND", "ssh -v"),
        ("GIT_CONFIG_COUNT", "0"),
        ("BASH_ENV", "/etc/profile"),
        ("LD_LIBRARY_PATH", "/opt/lib"),
        ("AWS_ACCESS_KEY_ID", "x"),
    ];
    assert_eq!(check(variables), []);
}

#[test]
fn names_variable_reason_and_effect() {
    let cases = [
        ("TF_DATA_DIR", "x", Effect::LeftOut, "environment variable TF_DATA_DIR: expected the variable not"),
        ("TF_HTTP_ADDRESS", "secret", Effect::LeftOut, "environment variable TF_HTTP_ADDRESS: expected the"),
        ("TF_INPUT", "1", Effect::LeftOut, "environment variable TF_INPUT: found \"1\", expected \"0\" or"),
        (
            "TF_WORKSPACE",
            "dev",
            Effect::Refused,
            "environment variable TF_WORKSPACE: found \"dev\", expected",
        ),
        ("SHELLOPTS", "noexec", Effect::Refused, "environment variable SHELLOPTS: expected the variable not"),
        ("GIT_DIR", ".git", Effect::Refused, "environment variable GIT_DIR: expected the variable not to be"),
        ("LD_PRELOAD", "a.so", Effect::Refused, "environment variable LD_PRELOAD: expected the variable not"),
        ("HOME", "me", Effect::Refused, "environment variable HOME: found \"me\", expected an absolute path"),
        (
            "TF_CLI_ARGS_plan",
            "-help",
            Effect::Refused,
            "environment variable TF_CLI_ARGS_plan: found \"-help\"",
        ),
    ];
    for (name, value, effect, text) in cases {
        let found = check([(name, value)]);
        let [problem] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!(problem.effect, effect, "{name}");
        assert!(problem.to_string().starts_with(text), "{problem}");
    }
}
