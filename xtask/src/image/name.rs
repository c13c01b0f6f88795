//! Names of images: `repository/program:tag`, and the long form that registries and containerd know.

use std::{fmt, str::FromStr};

use anyhow::{bail, ensure};

/// The registry that a name without one means.
const DEFAULT_REGISTRY: &str = "docker.io";

/// What stands before the name of a program: folders, with or without a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Repository(String);

/// The version in a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tag(String);

/// The name of one image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name {
    repository: Repository,
    program: &'static str,
    tag: Tag,
}

impl Repository {
    /// The registry, if the name has one: a first part that cannot be a folder, as every tool decides it.
    pub(super) fn registry(&self) -> Option<&str> {
        let first = self.0.split('/').next()?;
        (first.contains(['.', ':']) || first == "localhost").then_some(first)
    }
}

impl FromStr for Repository {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let repository = Self(text.to_owned());
        let folders = match repository.registry() {
            Some(registry) => text[registry.len()..].strip_prefix('/').unwrap_or_default(),
            None => text,
        };
        for folder in folders.split('/') {
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
            let inner = |c: char| plain(c) || "._-".contains(c);
            if !(folder.starts_with(plain) && folder.ends_with(plain) && folder.chars().all(inner)) {
                bail!(
                    "expected folders of lower case letters, digits and . _ - between them, \
                     after a registry if there is one (registry.example.com/team)"
                );
            }
        }
        Ok(repository)
    }
}

impl FromStr for Tag {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        ensure!(
            text.len() <= 128 && text.starts_with(word) && text.chars().all(|c| word(c) || ".-".contains(c)),
            "expected 1 to 128 letters, digits and . _ - that do not begin with . or -"
        );
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Name {
    /// Names the image of a program.
    pub(super) fn new(repository: Repository, program: &'static str, tag: Tag) -> Self {
        Self { repository, program, tag }
    }

    /// The version in it.
    pub(super) fn tag(&self) -> &Tag {
        &self.tag
    }

    /// The name with its registry, as containerd keeps it and a kubelet looks it up.
    pub(super) fn full(&self) -> String {
        match self.repository.registry() {
            Some(_) => self.to_string(),
            None => format!("{DEFAULT_REGISTRY}/{self}"),
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}:{}", self.repository.0, self.program, self.tag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_without_a_registry_is_completed_as_containerd_does_it() {
        for (repository, full) in [
            ("ephemeral-agents", "docker.io/ephemeral-agents/executor:0.1.0"),
            ("registry.example.com/team", "registry.example.com/team/executor:0.1.0"),
            ("localhost/x", "localhost/x/executor:0.1.0"),
            ("127.0.0.1:5000/a/b", "127.0.0.1:5000/a/b/executor:0.1.0"),
        ] {
            let name = Name::new(repository.parse().unwrap(), "executor", "0.1.0".parse().unwrap());
            assert_eq!(name.full(), full);
            assert_eq!(name.to_string(), format!("{repository}/executor:0.1.0"));
        }
    }

    #[test]
    fn what_no_registry_would_take_is_refused() {
        for repository in ["", "Team", "a//b", "a/", "/a", "a b", "-a", "registry.example.com", "a/b:1"] {
            assert!(repository.parse::<Repository>().is_err(), "{repository:?}");
        }
        for tag in ["", ".1", "-1", "a/b", "a:b", "a b", &"x".repeat(129)] {
            assert!(tag.parse::<Tag>().is_err(), "{tag:?}");
        }
    }
}
