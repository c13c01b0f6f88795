//! The books that resources keep outside of terraform: one line for each creation and each removal.

use std::{collections::BTreeSet, path::Path};

use anyhow::Context as _;

use super::books::CloudObject;

/// How many resources each job creates.
pub(super) const RESOURCES: u32 = 4;

/// A resource that was created.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Creation {
    /// The number of the job of its workspace.
    pub(super) round: u32,
    pub(super) index: u32,
    pub(super) id: String,
}

/// The content of a ledger.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub(super) created: Vec<Creation>,
    pub(super) removed: BTreeSet<String>,
}

/// Returns a configuration whose resources are all replaced in each round.
///
/// The line is written while terraform creates the resource, before it can save it: a kill in between leaves
/// a resource that no state knows.
pub(super) fn configuration(ledger: &Path, round: u32) -> String {
    let ledger = ledger.display();
    format!(
        r#"resource "terraform_data" "thing" {{
  count            = {RESOURCES}
  input            = {round}
  triggers_replace = [{round}]

  provisioner "local-exec" {{
    command = "echo 'created {round} ${{count.index}} ${{self.id}}' >> '{ledger}'; sleep 0.4"
  }}

  provisioner "local-exec" {{
    when    = destroy
    command = "echo 'removed ${{self.id}}' >> '{ledger}'"
  }}
}}
"#
    )
}

impl Ledger {
    /// Reads a ledger; one that does not exist is empty.
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        if !path.exists() {
            return Ok(Self::default());
        }
        let text = std::fs::read_to_string(path);
        Self::parse(&text.with_context(|| format!("cannot read {}", path.display()))?)
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        let mut ledger = Self::default();
        for line in text.lines() {
            match line.split(' ').collect::<Vec<_>>()[..] {
                ["created", round, index, id] => {
                    let number = |text: &str| text.parse().with_context(|| format!("ledger line {line:?}"));
                    let (round, index) = (number(round)?, number(index)?);
                    ledger.created.push(Creation { round, index, id: id.to_owned() });
                }
                // A removal that was interrupted is repeated.
                ["removed", id] => {
                    ledger.removed.insert(id.to_owned());
                }
                _ => anyhow::bail!("the ledger has the line {line:?}, expected created or removed"),
            }
        }
        Ok(ledger)
    }
}

impl Ledger {
    /// Returns what exists: what was created and not removed.
    pub(super) fn things(&self) -> Vec<CloudObject> {
        let exist = self.created.iter().filter(|creation| !self.removed.contains(&creation.id));
        exist
            .map(|Creation { round, index, id }| CloudObject {
                address: format!("terraform_data.thing[{index}]"),
                id: id.clone(),
                attribute: ("input", round.to_string()),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_lines_of_the_configuration() {
        let ledger = Ledger::parse("created 1 0 a-b\ncreated 1 1 c\nremoved a-b\nremoved a-b\n").unwrap();
        assert_eq!(ledger.created[0], Creation { round: 1, index: 0, id: "a-b".to_owned() });
        assert_eq!((ledger.created.len(), ledger.removed.len()), (2, 1));
        for line in ["created 1 0", "created x 0 a", "removed", ""] {
            assert!(Ledger::parse(&format!("{line}\n")).is_err(), "{line:?}");
        }
    }

    #[test]
    fn configuration_names_the_ledger_and_the_round() {
        let text = configuration(Path::new("/x/ledger"), 7);
        assert!(text.contains("echo 'created 7 ${count.index} ${self.id}' >> '/x/ledger'"), "{text}");
    }
}
