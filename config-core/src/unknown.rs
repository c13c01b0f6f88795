//! Unknown names: the problem, with the nearest known name as a hint.

use crate::{Origin, Problem};

/// The minimum similarity of two names (0 to 1) for a suggestion.
const MIN_SIMILARITY: f64 = 0.55;

/// Reports an unknown name. `family` is the common prefix of the `known` names,
/// which says nothing about similarity.
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

/// Finds the known name that is most similar to `name`, ignoring case.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_ascii_lowercase();
    let length = name.chars().count();
    known
        .into_iter()
        // The time to compare grows with the product of the lengths, and the user decides how long a name is.
        .filter(|candidate| may_be_similar(length, candidate.chars().count()))
        .map(|candidate| {
            (strsim::normalized_damerau_levenshtein(&name, &candidate.to_ascii_lowercase()), candidate)
        })
        .filter(|(score, _)| *score >= MIN_SIMILARITY)
        .max_by(|(left, _), (right, _)| left.total_cmp(right))
        .map(|(_, candidate)| candidate)
}

/// Returns whether names of these lengths can be similar: the difference in length
/// is the minimum number of insertions.
#[expect(
    clippy::cast_precision_loss,
    reason = "a name whose length loses precision is not similar to any other"
)]
fn may_be_similar(one: usize, other: usize) -> bool {
    one.min(other) as f64 >= MIN_SIMILARITY * one.max(other) as f64
}

pub(crate) fn starts_with_ignoring_case(text: &str, prefix: &str) -> bool {
    text.get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggests_the_nearest_name_or_lists_all() {
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
    fn compares_names_only_if_their_lengths_are_close() {
        // 5 equal characters of 9 are enough; a name of 5 cannot be similar to one of 10.
        assert_eq!(nearest("abcde", ["abcdefghi", "abcdefghij"]), Some("abcdefghi"));
        assert_eq!(nearest("abcdefghi", ["abcde"]), Some("abcde"));
        assert!(!may_be_similar(4, 9) && !may_be_similar(100_000, 20));
    }

    #[test]
    fn compares_prefix_that_ends_inside_a_character() {
        assert!(!starts_with_ignoring_case("Executoré", "ExecutorEp"));
        assert!(starts_with_ignoring_case("EXECUTORX", "Executor"));
    }
}
