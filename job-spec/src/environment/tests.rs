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
        ("TF_DATA_DIR", "x", Effect::LeftOut, "expected the variable not"),
        ("TF_HTTP_ADDRESS", "secret", Effect::LeftOut, "expected the"),
        ("TF_INPUT", "1", Effect::LeftOut, "found \"1\", expected \"0\" or"),
        ("TF_WORKSPACE", "dev", Effect::Refused, "found \"dev\", expected"),
        ("SHELLOPTS", "noexec", Effect::Refused, "expected the variable not"),
        ("GIT_DIR", ".git", Effect::Refused, "expected the variable not to be"),
        ("LD_PRELOAD", "a.so", Effect::Refused, "expected the variable not"),
        ("HOME", "me", Effect::Refused, "found \"me\", expected an absolute path"),
        ("TF_CLI_ARGS_plan", "-help", Effect::Refused, "found \"-help\""),
    ];
    for (name, value, effect, text) in cases {
        let found = check([(name, value)]);
        let [problem] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!(problem.effect, effect, "{name}");
        let text = format!("environment variable {name}: {text}");
        assert!(problem.to_string().starts_with(&text), "{problem}");
    }
}
