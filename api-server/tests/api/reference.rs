//! The committed reference pages are those that the code generates; `cargo xtask docs` writes them.
//!
//! The pages belong to the libraries, the comparison does not: a published crate has no `docs/` beside it.

use std::{fs, path::Path};

#[expect(clippy::disallowed_methods, reason = "`cargo xtask docs` asks by this variable to write the files")]
#[track_caller]
fn assert_is_up_to_date(name: &str, page: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference").join(name);
    if std::env::var("UPDATE_REFERENCE").is_ok_and(|value| value == "1") {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, page).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == page, "docs/reference/{name} is out of date; cargo xtask docs writes it");
}

#[test]
fn reference_of_settings_is_up_to_date() {
    assert_is_up_to_date("settings.md", &config_core::settings_page());
}

#[test]
fn reference_of_the_settings_file_is_up_to_date() {
    assert_is_up_to_date("settings-file.md", &config_core::settings_file_page());
}

#[test]
fn reference_of_the_policy_file_is_up_to_date() {
    assert_is_up_to_date("policy.md", &config_core::policy_page());
}

#[test]
fn reference_of_exit_codes_is_up_to_date() {
    assert_is_up_to_date("exit-codes.md", &job_spec::ExitCode::reference_page());
}

#[test]
fn reference_of_limits_is_up_to_date() {
    assert_is_up_to_date("limits.md", &api_server::limits::reference_page());
}
