//! What must hold for all problems and all names.

use config_core::{Problem, Problems, kubernetes::Rule};

/// Longest shown piece of a wrong value, in characters: of a field in YAML its path is shown too.
const LONGEST_FOUND: usize = 250;

/// An error says at least one thing; each is complete, short and on its line, and they are sorted.
pub(crate) fn problems(problems: &Problems) {
    let list: Vec<&Problem> = problems.iter().collect();
    assert!(!list.is_empty(), "an error without a problem");
    assert!(list.is_sorted_by_key(|problem| &problem.origin.key), "not sorted: {problems}");
    for found in &list {
        problem(found);
    }
    assert_eq!(problems.to_string().lines().count(), list.len(), "one line each: {problems}");
    let json = serde_json::to_value(problems).expect("problems are JSON");
    assert_eq!(json.as_array().map(Vec::len), Some(list.len()));
}

/// A problem says where it is and what was expected, and shows no more of the value than helps.
pub(crate) fn problem(problem: &Problem) {
    let Problem { origin, found, expected, hint } = problem;
    assert!(!expected.is_empty(), "nothing expected: {problem}");
    assert!(!problem.to_string().contains('\n'), "one line: {problem}");
    assert!(!origin.to_string().contains('\n'), "one line: {origin}");
    assert!(hint.as_ref().is_none_or(|hint| !hint.is_empty()), "an empty hint: {problem}");
    assert!(
        found.as_ref().is_none_or(|found| found.chars().count() <= LONGEST_FOUND),
        "not shortened: {problem}"
    );
}

/// A text that was accepted satisfies the rule of Kubernetes.
#[track_caller]
pub(crate) fn rule(rule: Rule, text: &str) {
    assert!(rule.holds(text), "accepted {text:?}, which is not {}", rule.expected());
}
