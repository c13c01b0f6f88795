//! Tables of PATH values and command lines.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use job_spec::StepType;

use super::{Engine, EngineError, Options, find_program, init_args, step_args};

#[test]
fn the_first_executable_file_of_an_absolute_folder_wins() {
    let root = tempfile::tempdir().unwrap();
    let folder = |name: &str, mode: Option<u32>| {
        let folder = root.path().join(name);
        fs::create_dir(&folder).unwrap();
        if let Some(mode) = mode {
            fs::write(folder.join("terraform"), "").unwrap();
            fs::set_permissions(folder.join("terraform"), fs::Permissions::from_mode(mode)).unwrap();
        }
        folder.to_str().unwrap().to_owned()
    };
    let (empty, data) = (folder("empty", None), folder("data", Some(0o644)));
    let (first, second) = (folder("first", Some(0o755)), folder("second", Some(0o700)));
    fs::create_dir(root.path().join("empty/terraform")).unwrap();
    let cases = [
        (format!("{empty}:{data}:{first}:{second}"), Some(&first)),
        (format!("{second}:{first}"), Some(&second)),
        (format!("{data}:{empty}"), None),
        (format!(".:relative::{first}"), Some(&first)),
        (String::new(), None),
    ];
    for (path, expected) in cases {
        let expected = expected.map(|folder| Path::new(folder).join("terraform"));
        assert_eq!(find_program("terraform", &path), expected, "{path}");
    }
}

#[test]
fn a_missing_program_is_said_in_one_sentence_with_how_to_get_it() {
    let error = Engine::new(true).locate(None).unwrap_err();
    assert_eq!(
        error.to_string(),
        "tofu is not on PATH; install it from https://opentofu.org/docs/intro/install or use an image that has it"
    );
}

#[test]
fn another_version_than_the_workspace_asks_for_is_refused() {
    let answer = r#"{"terraform_version":"1.11.4","platform":"linux_amd64"}"#;
    assert_eq!(Engine::Terraform.check_version(answer, "1.11.4"), Ok(()));
    assert_eq!(Engine::Terraform.check_version(answer, "v1.11.4"), Ok(()));
    let error = Engine::Terraform.check_version(answer, "1.9.8").unwrap_err();
    assert_eq!(
        error.to_string(),
        "terraform on PATH has version \"1.11.4\", expected \"1.9.8\" as the workspace says"
    );
    assert_eq!(Engine::Tofu.check_version("?", "1.9.8"), Err(EngineError::Silent(Engine::Tofu)));
}

#[test]
fn every_step_has_its_command_line() {
    use StepType::{
        Approval, CustomScripts, TerraformApply, TerraformDestroy, TerraformPlan, TerraformPlanDestroy,
    };
    let plain = |step| Options { step, refresh: true, refresh_only: false, color: true };
    let cases = [
        (plain(TerraformPlan), false, "plan -input=false -detailed-exitcode -out=/w/plan"),
        (
            Options { refresh: false, refresh_only: true, color: false, ..plain(TerraformPlan) },
            false,
            "plan -input=false -detailed-exitcode -out=/w/plan -refresh=false -refresh-only -no-color",
        ),
        (plain(TerraformPlanDestroy), false, "plan -input=false -detailed-exitcode -out=/w/plan -destroy"),
        (plain(TerraformApply), true, "apply -input=false /w/plan"),
        (Options { color: false, ..plain(TerraformApply) }, true, "apply -input=false -no-color /w/plan"),
        (plain(TerraformApply), false, "apply -input=false -auto-approve"),
        (plain(TerraformDestroy), false, "destroy -input=false -auto-approve"),
    ];
    for (options, reviewed, expected) in cases {
        let args = step_args(options, Path::new("/w/plan"), reviewed).unwrap();
        let line: Vec<_> = args.iter().map(|arg| arg.to_str().unwrap()).collect();
        assert_eq!(line.join(" "), expected);
    }
    for step in [CustomScripts, Approval] {
        assert_eq!(step_args(plain(step), Path::new("/w/plan"), false), None);
    }
    let init = init_args(Options { color: false, ..plain(TerraformPlan) });
    assert_eq!(init, ["init", "-input=false", "-no-color"]);
}
