//! The committed reference page of exit codes is the one that the code makes.

use std::{fs, path::Path};

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "a person asks by this variable to write the file instead of comparing it"
)]
fn the_committed_page_of_exit_codes_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference/exit-codes.md");
    let page = job_spec::ExitCode::reference_page();
    if std::env::var("UPDATE_REFERENCE").is_ok_and(|value| value == "1") {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &page).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == page,
        "docs/reference/exit-codes.md is out of date; UPDATE_REFERENCE=1 cargo test -p job-spec writes it"
    );
}
