//! The committed reference pages of settings are those that the code makes.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by a panic too")]

use std::{fs, path::Path};

#[expect(
    clippy::disallowed_methods,
    reason = "a person asks by this variable to write the file instead of comparing it"
)]
#[track_caller]
fn is_up_to_date(name: &str, page: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference").join(name);
    if std::env::var("UPDATE_REFERENCE").is_ok_and(|value| value == "1") {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, page).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == page,
        "docs/reference/{name} is out of date; UPDATE_REFERENCE=1 cargo test -p config-core writes it"
    );
}

#[test]
fn the_committed_page_of_settings_is_up_to_date() {
    is_up_to_date("settings.md", &config_core::settings_page());
}

#[test]
fn the_committed_page_of_the_settings_file_is_up_to_date() {
    is_up_to_date("settings-file.md", &config_core::settings_file_page());
}

#[test]
fn the_committed_page_of_the_policy_file_is_up_to_date() {
    is_up_to_date("policy.md", &config_core::policy_page());
}
