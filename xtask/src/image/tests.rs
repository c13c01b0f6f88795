//! Tests of the options, and of the build context.

use clap::Parser as _;

use super::*;

#[derive(Debug, clap::Parser)]
struct Alone {
    #[command(flatten)]
    args: Args,
}

fn check(arguments: &str) -> Result<(), String> {
    let parsed = Alone::try_parse_from([""].into_iter().chain(arguments.split_whitespace()));
    let args = parsed.map_err(|error| error.to_string())?.args;
    check_options(&args, &args.images).map_err(|error| error.to_string())
}

#[test]
fn rejects_options_that_cannot_work() {
    for good in
        ["executor --with-engine /x", "--push --repository r.example.com/a", "executor --package libstdc++6"]
    {
        check(good).unwrap();
    }
    for (bad, expected) in [
        ("--push", "--repository"),
        ("--push --repository team", "--repository"),
        ("api-server --with-engine /x", "--with-engine"),
        ("api-server --package jq", "--package"),
        ("executor --package=--force", "--package"),
        ("executor --package a;b", "name of a Debian package"),
        ("--repository Team", "lower case"),
        ("--insecure-registry", "--push"),
        ("--arch sparc", "amd64"),
    ] {
        let error = check(bad).unwrap_err();
        assert!(error.contains(expected), "{bad}: {error}");
    }
}

#[test]
fn engine_must_be_terraform_or_tofu() {
    let shell = Shell::new().unwrap();
    let context = tempfile::tempdir().unwrap();
    let alone = Alone::try_parse_from(["", "executor", "--with-engine", "/opt/terraform-1.11"]).unwrap();
    let architecture = Architecture::of_this_machine().unwrap();
    let error =
        fill_context(&shell, &alone.args, context.path(), architecture, &[], &[]).unwrap_err().to_string();
    assert!(error.contains("named terraform or tofu"), "{error}");
    assert!(context.path().join("Containerfile").is_file() && context.path().join("packages.sh").is_file());
}

#[test]
fn every_stage_of_a_program_is_in_the_containerfile() {
    let text = fs::read_to_string(Shell::new().unwrap().root.join(FILES).join("Containerfile")).unwrap();
    for program in [Program::ApiServer, Program::Executor] {
        assert!(text.contains(&format!("FROM scratch AS {}\n", program.name())), "{program:?}");
    }
}

#[test]
fn image_name_is_the_one_that_a_kubelet_looks_up() {
    let name = |arguments: &[&str]| {
        let arguments = [&[""], arguments].concat();
        image_name(&Alone::try_parse_from(arguments).unwrap().args, "executor")
    };
    assert_eq!(name(&["--tag", "v1"]), "docker.io/ephemeral-agents/executor:v1");
    assert_eq!(name(&["--repository", "r.example.com/a", "--tag", "v1"]), "r.example.com/a/executor:v1");
    assert_eq!(name(&["--repository", "localhost/a", "--tag", "v1"]), "localhost/a/executor:v1");
}
