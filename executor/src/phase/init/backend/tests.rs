//! What is removed, written, refused and recognized.

use std::collections::BTreeMap;

use super::*;

fn env(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn rejects_variables_that_change_the_backend() {
    let bad = [
        ("TF_CLI_ARGS_init", "-upgrade -backend-config=address=http://user:secret@x", "-backend-config"),
        ("TF_CLI_ARGS_init", "--backend-config x.hcl", "--backend-config"),
        ("TF_CLI_ARGS_init", "'-back'end=false", "-backend"),
        ("TF_CLI_ARGS", "\"-backend-config=path=x\"", "-backend-config"),
    ];
    for (name, value, option) in bad {
        let error = check_environment(&env(&[(name, value)])).unwrap_err().to_string();
        let expected =
            format!("environment variable {name} changes the backend with the option {option:?}, ");
        assert!(error.starts_with(&expected), "{error}");
        assert!(!error.contains("secret"), "{error}");
    }
    let error = check_environment(&env(&[("TF_WORKSPACE", "dev")])).unwrap_err().to_string();
    assert!(
        error.starts_with("environment variable TF_WORKSPACE is \"dev\", expected \"default\""),
        "{error}"
    );
    let good = [
        ("TF_CLI_ARGS_init", "-upgrade -lockfile=readonly"),
        ("TF_CLI_ARGS_plan", "-var=a=-backend-config"),
        ("TF_WORKSPACE", "default"),
        ("TF_WORKSPACE", ""),
    ];
    for (name, value) in good {
        check_environment(&env(&[(name, value)])).unwrap();
    }
}

#[test]
fn removes_leftovers_and_replaces_links_of_the_source() {
    let root = tempfile::tempdir().unwrap();
    let (folder, elsewhere) = (root.path().join("source"), root.path().join("elsewhere"));
    fs::create_dir_all(folder.join(".terraform/providers")).unwrap();
    fs::create_dir(folder.join("terraform.tfstate.d")).unwrap();
    fs::write(&elsewhere, "not ours").unwrap();
    for name in [ERRORED_STATE, &format!("{BACKEND_STEM}.tf"), &format!("{BACKEND_STEM}.tofu")] {
        std::os::unix::fs::symlink(&elsewhere, folder.join(name)).unwrap();
    }
    for name in ["main.tf", "terraform.tfstate", "other.tfstate"] {
        fs::write(folder.join(name), "x").unwrap();
    }
    prepare(&folder, Engine::Tofu).unwrap();
    let mut names: Vec<_> =
        fs::read_dir(&folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    let ours = [format!("{BACKEND_STEM}.tf"), format!("{BACKEND_STEM}.tofu")];
    assert_eq!(names, ["main.tf", "other.tfstate", &ours[0], &ours[1]]);
    for name in ours {
        assert_eq!(fs::read_to_string(folder.join(name)).unwrap(), BACKEND);
    }
    assert_eq!(fs::read_to_string(&elsewhere).unwrap(), "not ours");
}

#[test]
fn names_override_file_that_is_merged_after_ours() {
    for (name, engine, text, refused) in [
        ("z_override.tf", Engine::Terraform, "terraform { backend \"s3\" {} }", false),
        ("z_override.tofu", Engine::Tofu, "terraform { backend \"s3\" {} }", false),
        ("~~~_override.tf", Engine::Terraform, "terraform { backend \"s3\" {} }", true),
        ("~~~_override.tf.json", Engine::Terraform, r#"{"terraform":{"cloud":{}}}"#, true),
        ("~~~_override.tf", Engine::Terraform, "locals {}", false),
        ("é_override.tofu", Engine::Tofu, "terraform { cloud {} }", true),
        (
            "~~ephemeral_agents_backend_override.tf.json",
            Engine::Terraform,
            r#"{"terraform":{"cloud":{}}}"#,
            true,
        ),
        ("~~~.tf", Engine::Terraform, "terraform { backend \"s3\" {} }", false),
    ] {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(name), text).unwrap();
        let prepared = prepare(folder.path(), engine);
        assert_eq!(prepared.is_err(), refused, "{name}");
        if let Err(error) = prepared {
            assert!(error.to_string().starts_with(&format!("file {name:?} of the source sets")), "{error}");
        }
    }
}

#[test]
fn verification_reads_the_record_of_init() {
    let ours =
        r#"{"version":3,"backend":{"type":"http","config":{"address":null,"username":null},"hash":1}}"#;
    let cases = [
        (Some(ours), None),
        (Some(r#"{"version":3,"backend":{"type":"local","config":{"path":null}}}"#), Some("\"local\"")),
        (Some(r#"{"backend":{"type":"cloud","config":{}}}"#), Some("\"cloud\"")),
        (
            Some(r#"{"backend":{"type":"http","config":{"address":"http://secret","lock_address":"x"}}}"#),
            Some("\"http\" with address, lock_address"),
        ),
        (Some("{}"), Some("none")),
        (Some("not json"), Some("in a record of an unknown form")),
        (None, Some("none")),
    ];
    for (record, expected) in cases {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("backend.tf"), "terraform { backend \"local\" {} }").unwrap();
        fs::create_dir(folder.path().join(".terraform")).unwrap();
        if let Some(record) = record {
            fs::write(folder.path().join(".terraform/terraform.tfstate"), record).unwrap();
        }
        let error = verify(folder.path(), Engine::Terraform).err().map(|error| error.to_string());
        let expected = expected.map(|found| {
            format!(
                "terraform init has configured the backend {found}, expected \"http\" without settings of \
                 its own, which is the state of this workspace; remove the backend or cloud block of file \
                 \"backend.tf\"; nothing was planned"
            )
        });
        assert_eq!(error, expected, "{record:?}");
    }
}
