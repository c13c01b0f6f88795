//! Names that nobody knows: the problem, with the nearest known name as a hint.

use crate::{Origin, Problem};

/// How alike two names must be (0 to 1) to suggest the one for the other.
const ALIKE: f64 = 0.55;

/// Makes the problem of an unknown name; `family` is what all `known` names begin with, so it tells nothing about
/// how alike they are.
pub(crate) fn problem(origin: Origin, name: &str, family: &str, known: &[&str]) -> Problem {
    let bare = if starts_with_ignoring_case(name, family) { &name[family.len()..] } else { name };
    let bare_known = known.iter().map(|candidate| candidate.strip_prefix(family).unwrap_or(candidate));
    let problem = Problem::new(origin, "the name of a known setting");
    match nearest(bare, bare_known) {
        Some(near) => {
            let family = if known.contains(&near) { "" } else { family };
            problem.with_hint(format!("did you mean {:?}?", format!("{family}{near}")))
        }
        None => problem.with_hint(format!("known are {}", known.join(", "))),
    }
}

/// Finds the known name that is most like `name`; letters are compared without regard to case.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_ascii_lowercase();
    let length = name.chars().count();
    known
        .into_iter()
        // Comparing takes time with the product of the lengths, and whoever writes a name decides how long it is.
        .filter(|candidate| may_be_alike(length, candidate.chars().count()))
        .map(|candidate| {
            (strsim::normalized_damerau_levenshtein(&name, &candidate.to_ascii_lowercase()), candidate)
        })
        .filter(|(score, _)| *score >= ALIKE)
        .max_by(|(left, _), (right, _)| left.total_cmp(right))
        .map(|(_, candidate)| candidate)
}

/// Tells whether names of these lengths can be alike: what the longer one has more must be inserted at the least.
#[expect(
    clippy::cast_precision_loss,
    reason = "a name whose length has lost precision is not like any other"
)]
fn may_be_alike(one: usize, other: usize) -> bool {
    one.min(other) as f64 >= ALIKE * one.max(other) as f64
}

pub(crate) fn starts_with_ignoring_case(text: &str, prefix: &str) -> bool {
    text.get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_suggested_or_else_all_are_listed() {
        let hint = |name| {
            let origin = Origin::new(crate::SourceName::Workspace, name);
            problem(origin, name, "EPHEMERAL_", &["EPHEMERAL_TOLERATIONS", "EPHEMERAL_MAP_NAME"])
                .hint
                .unwrap()
        };
        assert_eq!(hint("EPHEMERAL_TOLERATION"), "did you mean \"EPHEMERAL_TOLERATIONS\"?");
        assert_eq!(hint("ephemeral_map_nmae"), "did you mean \"EPHEMERAL_MAP_NAME\"?");
        assert_eq!(hint("EPHEMERAL_X"), "known are EPHEMERAL_TOLERATIONS, EPHEMERAL_MAP_NAME");
        assert_eq!(hint("EPHEMERAL_"), "known are EPHEMERAL_TOLERATIONS, EPHEMERAL_MAP_NAME");
    }

    #[test]
    fn names_are_compared_only_if_their_lengths_let_them_be_alike() {
        // 5 of 9 characters are just alike enough, and no name with 5 can be like one with 10.
        assert_eq!(nearest("abcde", ["abcdefghi", "abcdefghij"]), Some("abcdefghi"));
        assert_eq!(nearest("abcdefghi", ["abcde"]), Some("abcde"));
        assert!(!may_be_alike(4, 9) && !may_be_alike(100_000, 20));
    }

    #[test]
    fn a_prefix_may_end_inside_a_character() {
        assert!(!starts_with_ignoring_case("Executoré", "ExecutorEp"));
        assert!(starts_with_ignoring_case("EXECUTORX", "Executor"));
    }
}
