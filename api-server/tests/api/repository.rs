//! What files of the repository say about the code, and the code about them.

use std::{
    fs,
    path::{Path, PathBuf},
};

use k8s_backend::access_reviews;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Reads every source file of the crates in the table of failures.
fn sources() -> String {
    let mut folders: Vec<_> =
        ["k8s-backend", "api-server", "executor", "e2e"].map(|name| root().join(name)).into();
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
fn table_of_failures_names_existing_tests_and_recordings() {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let table = text.split_once("| what happens | test |").unwrap().1;
    let rows: Vec<_> = table.trim_start().lines().skip(1).take_while(|line| line.starts_with('|')).collect();
    let recordings = root().join("k8s-backend/tests/fixtures/kubernetes");
    let recordings: Vec<_> = fs::read_dir(recordings)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let sources = sources();
    let mut names = 0;
    for row in &rows {
        for name in row.split('`').skip(1).step_by(2) {
            let exists = match name.strip_suffix('*') {
                Some(start) => recordings.iter().any(|recording| recording.starts_with(start)),
                None => {
                    sources.contains(&format!("fn {name}("))
                        || recordings.iter().any(|recording| recording == name)
                }
            };
            assert!(exists, "{name:?} is neither a test nor a recording: {row}");
            names += 1;
        }
    }
    assert!(rows.len() >= 9 && names >= 20, "{} rows, {names} names", rows.len());
}

fn items(list: &str) -> Vec<&str> {
    list.lines().filter_map(|line| line.trim().strip_prefix("- ")).collect()
}

/// Reads the rules of a Role in a file: resources and verbs.
fn rules(yaml: &str) -> Vec<(Vec<&str>, Vec<&str>)> {
    let rules = yaml.split_once("rules:").unwrap().1.split("- apiGroups:").skip(1);
    rules
        .map(|rule| {
            let (resources, verbs) = rule.split_once("resources:").unwrap().1.split_once("verbs:").unwrap();
            (items(resources), items(verbs))
        })
        .collect()
}

#[test]
fn deployed_extended_role_allows_exactly_what_the_backend_asks_for() {
    let role = fs::read_to_string(root().join("deploy/kustomize/extended-role/role.yaml")).unwrap();
    let mut allowed = Vec::new();
    for (resources, verbs) in rules(&role) {
        let pairs = resources
            .iter()
            .flat_map(|resource| verbs.iter().map(move |verb| ((*resource).to_owned(), (*verb).to_owned())));
        allowed.extend(pairs);
    }
    let reviewed = access_reviews("terrakube").into_iter().map(|review| {
        let attributes = review.spec.resource_attributes.unwrap();
        (attributes.resource.unwrap(), attributes.verb.unwrap())
    });
    assert_eq!(allowed, reviewed.collect::<Vec<_>>());
}
