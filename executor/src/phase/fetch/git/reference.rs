//! What the branch field and the commit of a payload ask for; pure.

use strsim::jaro_winkler;

/// How similar a name must be to be offered in place of one that does not exist.
const MIN_SIMILARITY: f64 = 0.75;

/// How many names a message lists.
const MAX_NAMES: usize = 5;

/// Length of a full commit id, with SHA-1 and SHA-256.
const FULL_LENGTHS: [usize; 2] = [40, 64];

/// The shortest abbreviation of a commit id that git accepts.
const MIN_ID_CHARS: usize = 4;

/// What to check out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wanted {
    /// What the repository names as its default.
    Default,
    /// A complete reference: `refs/…`.
    Reference(String),
    /// A full commit id.
    Commit(String),
    /// The name of a branch or tag, or the beginning of a commit id.
    Name(String),
}

impl Wanted {
    /// Parses the branch field. The part after a comma is a list of further branches that only triggers use.
    /// `None` if it cannot be the name of anything.
    pub(super) fn parse(field: &str) -> Option<Self> {
        let name = field.split(',').next().unwrap_or_default().trim();
        if name.is_empty() || name == "HEAD" {
            return Some(Self::Default);
        }
        if !is_name(name) {
            return None;
        }
        Some(if name.starts_with("refs/") {
            Self::Reference(name.to_owned())
        } else if is_id(name) && FULL_LENGTHS.contains(&name.len()) {
            Self::Commit(name.to_ascii_lowercase())
        } else {
            Self::Name(name.to_owned())
        })
    }

    /// Parses a commit that an earlier step has determined; `None` if it is no id.
    pub(super) fn commit(id: &str) -> Option<Self> {
        if !is_id(id) || id.len() > FULL_LENGTHS[1] {
            return None;
        }
        let id = id.to_ascii_lowercase();
        Some(if FULL_LENGTHS.contains(&id.len()) { Self::Commit(id) } else { Self::Name(id) })
    }
}

/// Returns whether a text may be a commit id or the beginning of one.
pub(super) fn is_id(text: &str) -> bool {
    text.len() >= MIN_ID_CHARS && text.chars().all(|c| c.is_ascii_hexdigit())
}

/// The rules of `git check-ref-format`, as far as a wrong name could change the meaning of a command.
fn is_name(name: &str) -> bool {
    let forbidden = |c: char| c.is_control() || " ~^:?*[\\".contains(c);
    let part =
        |part: &str| !part.is_empty() && !part.starts_with('.') && part.strip_suffix(".lock").is_none();
    !name.starts_with(['-', '+'])
        && !name.contains(forbidden)
        && !name.contains("..")
        && !name.contains("@{")
        && !name.ends_with('.')
        && name.split('/').all(part)
}

/// The names in a repository.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Names {
    branches: Vec<String>,
    tags: Vec<String>,
}

impl Names {
    /// Parses the output of `git ls-remote`.
    pub(super) fn parse(output: &str) -> Self {
        let mut names = Self::default();
        for name in output.lines().filter_map(|line| line.split_once('\t')).map(|(_, name)| name) {
            if let Some(branch) = name.strip_prefix("refs/heads/") {
                names.branches.push(branch.to_owned());
            } else if let Some(tag) = name.strip_prefix("refs/tags/").filter(|tag| !tag.ends_with("^{}")) {
                names.tags.push(tag.to_owned());
            }
        }
        names
    }

    /// Returns what exists, for a message about a name that does not: the nearest names first.
    pub(super) fn describe(&self, wanted: &str) -> String {
        let wanted = wanted.trim_start_matches("refs/").trim_start_matches("heads/");
        let wanted = wanted.trim_start_matches("tags/");
        let all = || self.branches.iter().chain(&self.tags);
        if all().next().is_none() {
            return "the repository has neither branches nor tags".to_owned();
        }
        let quoted = |names: &[&String]| {
            let shown: Vec<_> = names.iter().take(MAX_NAMES).map(|name| format!("{name:?}")).collect();
            shown.join(", ")
        };
        let near = nearest(wanted, all());
        if !near.is_empty() {
            return format!("the nearest names are {} ({})", quoted(&near), self.count());
        }
        let first: Vec<_> = all().collect();
        let start = if first.len() > MAX_NAMES { "there are, among others," } else { "there are" };
        format!("{start} {} ({})", quoted(&first), self.count())
    }

    fn count(&self) -> String {
        let plural =
            |count: usize, one: &str, many: &str| format!("{count} {}", if count == 1 { one } else { many });
        let branches = plural(self.branches.len(), "branch", "branches");
        format!("{branches}, {}", plural(self.tags.len(), "tag", "tags"))
    }
}

/// Returns the names that are similar to a text, the most similar first.
pub(in crate::phase::fetch) fn nearest<'n>(
    wanted: &str,
    names: impl Iterator<Item = &'n String>,
) -> Vec<&'n String> {
    let wanted = wanted.to_lowercase();
    let mut scored: Vec<_> = names
        .map(|name| {
            let lower = name.to_lowercase();
            let contains = lower.contains(&wanted) || (lower.len() > 3 && wanted.contains(&lower));
            let score = jaro_winkler(&wanted, &lower);
            (if contains { score.max(MIN_SIMILARITY) } else { score }, name)
        })
        .filter(|(score, _)| *score >= MIN_SIMILARITY)
        .collect();
    scored.sort_by(|(a, a_name), (b, b_name)| b.total_cmp(a).then_with(|| a_name.cmp(b_name)));
    scored.into_iter().map(|(_, name)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_branch_field() {
        let id = "9f1c0d2e3b4a5968778695a4b3c2d1e0f1a2b3c4";
        let name = |text: &str| Some(Wanted::Name(text.to_owned()));
        let cases = [
            ("", Some(Wanted::Default)),
            ("HEAD", Some(Wanted::Default)),
            (" main ", name("main")),
            ("main,dev", name("main")),
            ("feature/a-b_c", name("feature/a-b_c")),
            ("v1.2.3", name("v1.2.3")),
            ("deadbeef", name("deadbeef")),
            ("bäume", name("bäume")),
            (id, Some(Wanted::Commit(id.to_owned()))),
            (&id.to_uppercase(), Some(Wanted::Commit(id.to_owned()))),
            ("refs/pull/12/head", Some(Wanted::Reference("refs/pull/12/head".to_owned()))),
        ];
        for (field, expected) in cases {
            assert_eq!(Wanted::parse(field), expected, "{field}");
        }
        for bad in [
            "--upload-pack=x",
            "+main",
            "a b",
            "a..b",
            "a:b",
            "refs/heads/*",
            "a^",
            "a~1",
            "@{-1}",
            "a\\b",
            "a//b",
            "/a",
            "a/",
            ".a",
            "a.lock",
            "a.",
            "a\nb",
            "x@{1}",
        ] {
            assert_eq!(Wanted::parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn accepts_only_commit_ids_as_commit() {
        let id = "9f1c0d2e3b4a5968778695a4b3c2d1e0f1a2b3c4";
        assert_eq!(Wanted::commit(id), Some(Wanted::Commit(id.to_owned())));
        assert_eq!(Wanted::commit("9f1c0d2"), Some(Wanted::Name("9f1c0d2".to_owned())));
        for bad in ["", "main", "--force", "abc", &"a".repeat(65)] {
            assert_eq!(Wanted::commit(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn message_about_missing_name_lists_what_exists() {
        let list = |names: &[&str]| {
            let lines: Vec<_> = names.iter().map(|name| format!("0123456789\t{name}")).collect();
            Names::parse(&lines.join("\n"))
        };
        let names = list(&[
            "HEAD",
            "refs/heads/main",
            "refs/heads/develop",
            "refs/heads/release/1.2",
            "refs/tags/v1.2.0",
            "refs/tags/v1.2.0^{}",
            "refs/pull/1/head",
        ]);
        let cases = [
            ("mayn", r#"the nearest names are "main" (3 branches, 1 tag)"#),
            ("Develop", r#"the nearest names are "develop" (3 branches, 1 tag)"#),
            ("1.2", r#"the nearest names are "v1.2.0", "release/1.2" (3 branches, 1 tag)"#),
            ("refs/heads/man", r#"the nearest names are "main" (3 branches, 1 tag)"#),
            ("zzz", r#"there are "main", "develop", "release/1.2", "v1.2.0" (3 branches, 1 tag)"#),
        ];
        for (wanted, expected) in cases {
            assert_eq!(names.describe(wanted), expected, "{wanted}");
        }
        assert_eq!(list(&["HEAD"]).describe("main"), "the repository has neither branches nor tags");
        let many: Vec<_> = (0..20).map(|number| format!("refs/heads/team-{number}")).collect();
        let many = list(&many.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(
            many.describe("q").starts_with(r#"there are, among others, "team-0", "#),
            "{}",
            many.describe("q")
        );
    }
}
