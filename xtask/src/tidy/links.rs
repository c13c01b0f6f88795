//! Rule for pages: a link to a file of this repository leads somewhere.
//!
//! Links to other places are not followed, and neither are headings inside a page.

use std::path::{Component, Path, PathBuf};

use super::{Finding, Repository};

/// Checks the links of every page.
pub(super) fn check(repository: &Repository) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (page, text) in &repository.pages {
        for (number, line) in text.lines().enumerate() {
            for target in targets(line).filter(|target| leads_nowhere(page, target, repository)) {
                let place = format!("{page}:{}", number + 1);
                findings.push(Finding::error(place, format!("the link to {target:?} leads nowhere")));
            }
        }
    }
    findings
}

/// Lists the targets of the inline links of a line.
fn targets(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target)
}

fn leads_nowhere(page: &str, target: &str, repository: &Repository) -> bool {
    let file = target.split('#').next().unwrap_or_default();
    if file.is_empty() || target.contains("://") || target.starts_with("mailto:") {
        return false;
    }
    let folder = Path::new(page).parent().unwrap_or(Path::new(""));
    match normal(&folder.join(file)) {
        Some(path) => !path.is_empty() && !repository.paths.contains(&path),
        None => true,
    }
}

/// Resolves `.` and `..`; `None` if the path leaves the repository.
fn normal(path: &Path) -> Option<String> {
    let mut result = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => result.push(name),
            Component::CurDir => {}
            Component::ParentDir if result.pop() => {}
            _ => return None,
        }
    }
    result.into_os_string().into_string().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(page: &str, text: &str) -> Vec<String> {
        let paths = ["README.md", "docs/reference/settings.md", "docs/reference", "job-spec/src/render.rs"];
        let repository = Repository {
            pages: vec![(page.to_owned(), text.to_owned())],
            paths: paths.map(str::to_owned).into(),
            ..Repository::default()
        };
        check(&repository).into_iter().map(|finding| finding.text).collect()
    }

    #[test]
    fn links_to_files_folders_headings_and_other_sites_are_fine() {
        let text = "[a](docs/reference/settings.md#namespace) [b](docs/reference/) [c](#usage) [d](https://opentofu.org)";
        assert_eq!(findings("README.md", text), Vec::<String>::new());
        let text = "[a](settings.md) [b](../../README.md) [c](../../job-spec/src/render.rs)";
        assert_eq!(findings("docs/reference/exit-codes.md", text), Vec::<String>::new());
    }

    #[test]
    fn a_link_that_leads_nowhere_is_found() {
        assert_eq!(
            findings("README.md", "see [a](docs/gone.md)"),
            ["the link to \"docs/gone.md\" leads nowhere"]
        );
        assert_eq!(findings("README.md", "[a](../outside.md)").len(), 1);
    }
}
