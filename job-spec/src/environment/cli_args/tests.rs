//! Tables of options.

use super::*;

fn refused(name: &str, value: &str) -> Vec<String> {
    check(command_of(name).unwrap(), value)
        .into_iter()
        .map(|refused| refused.option.unwrap_or(refused.expected))
        .collect()
}

#[test]
fn accepts_options_that_leave_the_step_what_it_is() {
    for (name, value) in [
        ("TF_CLI_ARGS", ""),
        ("TF_CLI_ARGS", "-no-color"),
        ("TF_CLI_ARGS", "-lock-timeout=5m"),
        ("TF_CLI_ARGS_init", "-upgrade -lockfile=readonly -reconfigure"),
        ("TF_CLI_ARGS_plan", "-parallelism=3 -compact-warnings --refresh=false -refresh-only"),
        ("TF_CLI_ARGS_plan", "-var 'text=-destroy -out=x' -var-file dev.tfvars -lock=false"),
        ("TF_CLI_ARGS_plan", " -target=\"aws_instance.a[\\\"x\\\"]\" -replace 'b[\"c\"]'"),
        ("TF_CLI_ARGS_plan", "-generate-config-out=generated.tf"),
        ("TF_CLI_ARGS_apply", "-parallelism=1 -auto-approve -lock=true"),
        ("TF_CLI_ARGS_validate", "-json"),
    ] {
        assert_eq!(refused(name, value), Vec::<String>::new(), "{name}={value}");
    }
}

#[test]
fn refuses_options_that_change_the_step() {
    for (name, value, expected) in [
        ("TF_CLI_ARGS", "-help", "-help"),
        ("TF_CLI_ARGS_plan", "--help", "-help"),
        ("TF_CLI_ARGS_plan", "'-h'elp=true", "-help"),
        ("TF_CLI_ARGS_apply", "-parallelism=1 -h", "-h"),
        ("TF_CLI_ARGS_apply", "-version", "-version"),
        ("TF_CLI_ARGS_destroy", "-v", "-v"),
        ("TF_CLI_ARGS_plan", "-out=other", "-out"),
        ("TF_CLI_ARGS_plan", "-out other", "-out"),
        ("TF_CLI_ARGS_plan", "-state=x.tfstate", "-state"),
        ("TF_CLI_ARGS_apply", "-state-out=x", "-state-out"),
        ("TF_CLI_ARGS_apply", "-backup=-", "-backup"),
        ("TF_CLI_ARGS_apply", "-lock=false", "-lock=false"),
        ("TF_CLI_ARGS_destroy", "-lock=0", "-lock=false"),
        ("TF_CLI_ARGS", "-lock=false", "-lock=false"),
        ("TF_CLI_ARGS_plan", "-destroy", "-destroy"),
        ("TF_CLI_ARGS_apply", "\"-destroy\"", "-destroy"),
        ("TF_CLI_ARGS", "-destroy=true", "-destroy"),
        ("TF_CLI_ARGS", "-target=a.b", "-target"),
        ("TF_CLI_ARGS_init", "-backend-config=address=http://u:p@x", "-backend-config"),
        ("TF_CLI_ARGS_init", "-backend=false", "-backend"),
        ("TF_CLI_ARGS_init", "-from-module=x", "-from-module"),
        ("TF_CLI_ARGS_plan", "-chdir=/etc", "-chdir"),
        ("TF_CLI_ARGS_apply", "other.plan", "options only"),
        ("TF_CLI_ARGS_apply", "-- other.plan", "options only"),
        ("TF_CLI_ARGS_apply", "-compact-warnings other.plan", "options only"),
        ("TF_CLI_ARGS_plan", "-", "options only"),
        ("TF_CLI_ARGS_plan", "''", "options only"),
        ("TF_CLI_ARGS_plan", "-parallelism=1 -var", "-var"),
        ("TF_CLI_ARGS_plan", "-var 'a=b", "a closing quote for each opening one"),
        ("TF_CLI_ARGS_plan", "-var a=b;c", "operators of a shell in quotes"),
        ("TF_CLI_ARGS_plan", "-var a=b\\", "a character after the last `\\`"),
    ] {
        let found = refused(name, value);
        assert_eq!(found.first().map(String::as_str), Some(expected), "{name}={value}: {found:?}");
    }
}

#[test]
fn names_of_other_variables_are_not_read() {
    for name in ["TF_CLI_ARGSX", "TF_CLI_CONFIG_FILE", "tf_cli_args", "TF_VAR_x"] {
        assert_eq!(command_of(name), None, "{name}");
    }
    assert_eq!(command_of("TF_CLI_ARGS_plan"), Some("plan"));
}
