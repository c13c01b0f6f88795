//! The table of failures in ARCHITECTURE.md names tests and recordings that are there.

#![expect(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

use std::{
    fs,
    path::{Path, PathBuf},
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Reads every source file of the crates that the table speaks of.
fn sources() -> String {
    let mut folders: Vec<_> = ["k8s-backend", "api-server"].map(|name| root().join(name)).into();
    let mut text = String::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                text += &fs::read_to_string(path).unwrap();
            }
        }
    }
    text
}

#[test]
fn every_test_and_story_of_the_table_is_there() {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let table = text.split_once("| what happens | test |").unwrap().1;
    let rows: Vec<_> = table.trim_start().lines().skip(1).take_while(|line| line.starts_with('|')).collect();
    let stories = root().join("k8s-backend/tests/fixtures/kubernetes");
    let stories: Vec<_> = fs::read_dir(stories)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let sources = sources();
    let mut names = 0;
    for row in &rows {
        for name in row.split('`').skip(1).step_by(2) {
            let is_there = match name.strip_suffix('*') {
                Some(start) => stories.iter().any(|story| story.starts_with(start)),
                None => sources.contains(&format!("fn {name}(")) || stories.iter().any(|story| story == name),
            };
            assert!(is_there, "{name:?} is neither a test nor a recording: {row}");
            names += 1;
        }
    }
    assert!(rows.len() >= 9 && names >= 20, "{} rows, {names} names", rows.len());
}
