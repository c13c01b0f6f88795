//! The variables of a workspace as steps of one kind see them.

use crate::{Origin, StepKind, Variables, keys};

pub(super) struct View<'a> {
    variables: &'a Variables,
    kind: Option<StepKind>,
}

impl<'a> View<'a> {
    pub(super) fn new(variables: &'a Variables, kind: Option<StepKind>) -> Self {
        Self { variables, kind: kind.filter(|kind| Self::has_values_for(variables, *kind)) }
    }

    /// Returns whether there is a variable for steps of this kind alone.
    pub(super) fn has_values_for(variables: &Variables, kind: StepKind) -> bool {
        variables
            .iter()
            .any(|(name, _)| name.starts_with(keys::EPHEMERAL_PREFIX) && name.ends_with(kind.suffix()))
    }

    pub(super) fn get(&self, name: &str) -> Option<&'a str> {
        self.of_kind(name).and_then(|name| self.variables.get(&name)).or_else(|| self.variables.get(name))
    }

    /// Returns where the value was found that [`get`](Self::get) returns.
    pub(super) fn origin(&self, name: &str) -> Origin {
        match self.of_kind(name) {
            Some(of_kind) if self.variables.get(&of_kind).is_some() => self.variables.origin_of(&of_kind),
            _ => self.variables.origin_of(name),
        }
    }

    /// Variables outside our family have no form for one kind of steps: terraform gets the one that it knows.
    fn of_kind(&self, name: &str) -> Option<String> {
        let suffix = self.kind?.suffix();
        name.starts_with(keys::EPHEMERAL_PREFIX).then(|| format!("{name}{suffix}"))
    }
}
