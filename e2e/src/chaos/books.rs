//! The books that are kept outside of terraform: what exists, whatever any state says.

use std::path::PathBuf;

use serde_json::Value;

use super::{
    cloud::Cloud,
    ledger::{self, Ledger},
};

/// Something that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CloudObject {
    /// Its address in the configuration that has created it.
    pub(super) address: String,
    /// By which it is imported, and which the state has.
    pub(super) id: String,
    /// An attribute that the plan knew, by which a user finds it.
    pub(super) attribute: (&'static str, String),
}

/// Who keeps the books of one workspace.
#[derive(Debug)]
pub(super) enum Books<'a> {
    /// Provisioners, which write to this file.
    Ledger(PathBuf),
    /// A cloud; the names of this workspace start with the prefix.
    Cloud { cloud: &'a Cloud, prefix: String },
}

impl Books<'_> {
    /// Returns the configuration of a round.
    pub(super) fn configuration(&self, round: u32) -> String {
        match self {
            Self::Ledger(path) => ledger::configuration(path, round),
            Self::Cloud { cloud, prefix } => cloud.configuration(prefix, round),
        }
    }

    /// Lists what exists.
    pub(super) async fn things(&self) -> anyhow::Result<Vec<CloudObject>> {
        match self {
            Self::Ledger(path) => Ok(Ledger::read(path)?.things()),
            Self::Cloud { cloud, prefix } => cloud.things(prefix).await,
        }
    }
}

/// Finds what an entry of `missing` is about, as its advice says: by the attributes that the plan knew; where
/// there is no such thing, the one that was to be replaced.
pub(super) fn find<'a>(things: &'a [CloudObject], missing: &Value) -> Option<&'a CloudObject> {
    let there = || things.iter().filter(|thing| missing["address"] == thing.address.as_str());
    let is_planned = |thing: &&CloudObject| {
        let (key, value) = &thing.attribute;
        missing["planned"][*key] == value.as_str()
    };
    let is_old = |thing: &&CloudObject| missing["replacedId"] == thing.id.as_str();
    there().find(|thing| is_planned(thing) && !is_old(thing)).or_else(|| there().find(is_old))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn finds_the_new_thing_before_the_old_one() {
        let thing = |id: &str, round: &str| CloudObject {
            address: "terraform_data.thing[0]".to_owned(),
            id: id.to_owned(),
            attribute: ("input", round.to_owned()),
        };
        let missing = json!({
            "address": "terraform_data.thing[0]", "planned": { "input": "2" }, "replacedId": "a",
        });
        let (old, new) = (thing("a", "1"), thing("b", "2"));
        assert_eq!(find(&[old.clone(), new.clone()], &missing), Some(&new));
        assert_eq!(find(std::slice::from_ref(&old), &missing), Some(&old));
        assert_eq!(find(&[thing("c", "1")], &missing), None);
        assert_eq!(find(&[], &missing), None);
    }
}
