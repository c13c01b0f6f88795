//! Settings in environment variables: short names, and properties in upper case with underscores.
//!
//! The long form cannot express every label key: `IO_TERRAKUBE_EXECUTOR_EPHEMERAL_NODESELECTOR_DISK_TYPE` is
//! split at its underscores and lower-cased, so it is the label `disk.type`. Upper case, `/` and `_` in a
//! label key need a `-D` option.

use super::{
    Layers, Origin, RawLayer, SourceName,
    property::{self, Element, Prefix},
};
use crate::EnvSnapshot;

/// Reads the layers of the environment.
pub(crate) fn read(env: &EnvSnapshot) -> Layers {
    let mut result = Layers::default();
    // A short name is also accepted in upper case, weaker than in its own spelling.
    let (mut upper, mut short) = (RawLayer::default(), RawLayer::default());
    let (mut old, mut new) = (RawLayer::default(), RawLayer::default());
    for (name, value) in env.iter() {
        let origin = Origin::new(SourceName::Environment, name);
        if let Some(named) = property::short_name(|known| known == name) {
            short.push(named, value, origin);
            continue;
        }
        if let Some(named) = property::short_name(|known| known.to_ascii_uppercase() == name) {
            upper.push(named, value, origin);
            continue;
        }
        if let Some(problem) = property::misspelt_short_name(name, &origin) {
            result.problems.push(problem);
            continue;
        }
        let lower = name.to_ascii_lowercase();
        let elements: Vec<Element<'_>> =
            lower.split('_').filter(|part| !part.is_empty()).map(Element::Plain).collect();
        let (layer, rest) = match property::below_prefix(&elements) {
            Some((Prefix::New, rest)) => (&mut new, rest),
            Some((Prefix::Old, rest)) => (&mut old, rest),
            None => continue,
        };
        match property::target(rest, &lower) {
            Ok(named) => layer.push(named, value, origin),
            Err(reason) => result.problems.push(reason.problem(origin)),
        }
    }
    result.short = vec![upper, short];
    result.properties = vec![old, new];
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Target;

    const NAMESPACE: Target = Target::Setting("ExecutorEphemeralNamespace");
    const IMAGE: Target = Target::Setting("ExecutorEphemeralImage");
    const SECRET: Target = Target::Setting("ExecutorEphemeralSecret");

    fn entries(pairs: &[(&str, &str)]) -> Vec<(Target, String)> {
        let result = read(&pairs.iter().copied().collect());
        assert_eq!(result.problems, []);
        result
            .short
            .into_iter()
            .chain(result.properties)
            .flat_map(|layer| layer.entries)
            .map(|(target, sourced)| (target, sourced.value))
            .collect()
    }

    fn problem(name: &str) -> String {
        let result = read(&[(name, "x")].into_iter().collect());
        let mut layers = result.short.iter().chain(&result.properties);
        assert!(layers.all(|layer| layer.entries.is_empty()));
        let [problem] = result.problems.as_slice() else { panic!("one problem, not {:?}", result.problems) };
        problem.to_string()
    }

    #[test]
    fn reads_settings_and_labels_in_the_long_form() {
        let label = |key: &str| Target::NodeSelector(key.to_owned());
        let cases = [
            ("IO_TERRAKUBE_EXECUTOR_EPHEMERAL_NAMESPACE", NAMESPACE),
            ("ORG_TERRAKUBE_EXECUTOR_EPHEMERAL_IMAGE", IMAGE),
            ("io_terrakube_executor_ephemeral_secret", SECRET),
            ("IO_TERRAKUBE_EXECUTOR_EPHEMERAL_NODESELECTOR_DISKTYPE", label("disktype")),
            ("IO_TERRAKUBE_EXECUTOR_EPHEMERAL_NODESELECTOR_DISK_TYPE", label("disk.type")),
            ("IO_TERRAKUBE_EXECUTOR_EPHEMERAL_NODESELECTOR_A__B", label("a.b")),
        ];
        for (name, target) in cases {
            assert_eq!(entries(&[(name, "v")]), [(target, "v".to_owned())], "{name}");
        }
    }

    #[test]
    fn orders_upper_case_short_old_and_new_names() {
        let found = entries(&[
            ("EXECUTOREPHEMERALIMAGE", "upper"),
            ("ExecutorEphemeralImage", "short"),
            ("IO_TERRAKUBE_EXECUTOR_EPHEMERAL_IMAGE", "new"),
            ("ORG_TERRAKUBE_EXECUTOR_EPHEMERAL_IMAGE", "old"),
        ]);
        let values: Vec<&str> = found.iter().map(|(_, value)| value.as_str()).collect();
        assert_eq!(values, ["upper", "short", "old", "new"]);
    }

    #[test]
    fn ignores_other_variables() {
        assert_eq!(
            entries(&[("PATH", "/bin"), ("IO_TERRAKUBE_EXECUTOR_URL", "x"), ("IO", "x"), ("", "x")]),
            []
        );
    }

    #[test]
    fn rejects_misspelt_name_with_suggestion() {
        let cases = [
            (
                "ExecutorEphemeralNamespce",
                "environment variable ExecutorEphemeralNamespce: expected the name of a known setting; did \
                 you mean \"ExecutorEphemeralNamespace\"?",
            ),
            (
                "IO_TERRAKUBE_EXECUTOR_EPHEMERAL_NODESELECTR_A",
                "environment variable IO_TERRAKUBE_EXECUTOR_EPHEMERAL_NODESELECTR_A: expected the name of a \
                 known setting; did you mean \"nodeSelector\"?",
            ),
            (
                "IO_TERRAKUBE_EXECUTOR_EPHEMERAL_NODESELECTOR",
                "environment variable IO_TERRAKUBE_EXECUTOR_EPHEMERAL_NODESELECTOR: expected a label key \
                 after the name of the node selector; write nodeSelector.diskType=ssd",
            ),
        ];
        for (name, expected) in cases {
            assert_eq!(problem(name), expected);
        }
    }
}
