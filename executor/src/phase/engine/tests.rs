//! Missing programs and wrong versions.

use super::{Constraint, Engine, EngineError, Origin, Version, wanted};

#[test]
fn names_missing_program_and_how_to_install_it() {
    assert_eq!(
        EngineError::Missing(Engine::Tofu).to_string(),
        "tofu is not on PATH; install it from https://opentofu.org/docs/intro/install \
         or use an image that has it"
    );
}

#[test]
fn reads_versions_of_both_programs() {
    let answer = r#"{"terraform_version":"1.11.4","platform":"linux_amd64"}"#;
    assert_eq!(Engine::Terraform.read_version(answer).unwrap(), Version::new(1, 11, 4));
    let built = r#"{"terraform_version":"1.10.10-dev","platform":"linux_amd64","provider_selections":{}}"#;
    assert_eq!(Engine::Tofu.read_version(built).unwrap().to_string(), "1.10.10-dev");
    for other in ["?", "", r#"{"terraform_version":"x"}"#] {
        assert!(matches!(Engine::Tofu.read_version(other), Err(EngineError::UnknownVersion(Engine::Tofu))));
    }
}

#[test]
fn version_comes_from_plan_then_workspace_then_configuration() {
    let plan = || Some(Version::new(1, 9, 7));
    let required = || Some("~> 1.8".parse::<Constraint>().unwrap());
    let cases = [
        ("1.9.8", plan(), required(), Some(("1.9.8", Origin::Workspace))),
        ("~> 1.9", plan(), required(), Some(("1.9.7", Origin::Plan))),
        ("", plan(), required(), Some(("1.9.7", Origin::Plan))),
        ("~> 1.9", None, required(), Some(("~> 1.9", Origin::Workspace))),
        (" ", None, required(), Some(("~> 1.8", Origin::Configuration))),
        ("", None, None, None),
    ];
    for (version, plan, required, expected) in cases {
        let found = wanted(version, plan, required).unwrap();
        let found = found.map(|wanted| (wanted.constraint.to_string(), wanted.origin));
        assert_eq!(found, expected.map(|(text, origin)| (text.to_owned(), origin)), "{version:?}");
    }
    assert!(wanted("latest", None, None).is_err());
}
