//! Missing programs and wrong versions.

use super::{Engine, EngineError};

#[test]
fn names_missing_program_and_how_to_install_it() {
    let error = Engine::new(true).locate(None).unwrap_err();
    assert_eq!(
        error.to_string(),
        "tofu is not on PATH; install it from https://opentofu.org/docs/intro/install \
         or use an image that has it"
    );
}

#[test]
fn rejects_other_version_than_that_of_the_workspace() {
    let answer = r#"{"terraform_version":"1.11.4","platform":"linux_amd64"}"#;
    assert_eq!(Engine::Terraform.check_version(answer, "1.11.4"), Ok(()));
    assert_eq!(Engine::Terraform.check_version(answer, "v1.11.4"), Ok(()));
    let error = Engine::Terraform.check_version(answer, "1.9.8").unwrap_err();
    assert_eq!(
        error.to_string(),
        "terraform on PATH has version \"1.11.4\", expected \"1.9.8\", the version of the workspace"
    );
    assert_eq!(Engine::Tofu.check_version("?", "1.9.8"), Err(EngineError::UnknownVersion(Engine::Tofu)));
}
