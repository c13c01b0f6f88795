//! Names of `-D` options: which are read as what, and which are refused.

use proptest::prelude::*;

use super::*;
use crate::keys;

fn read_tool_options(text: &str) -> Layers {
    read_options(SourceName::JavaToolOptions, keys::JAVA_TOOL_OPTIONS, text)
}

fn entries(text: &str) -> Vec<(Target, String)> {
    let result = read_tool_options(text);
    assert_eq!(result.problems, []);
    result
        .short
        .into_iter()
        .chain(result.properties)
        .flat_map(|layer| layer.entries)
        .map(|(target, sourced)| (target, sourced.value))
        .collect()
}

fn problems(text: &str) -> Vec<String> {
    let result = read_tool_options(text);
    let mut layers = result.short.iter().chain(&result.properties);
    assert!(layers.all(|layer| layer.entries.is_empty()));
    result.problems.iter().map(ToString::to_string).collect()
}

fn label(key: &str) -> Target {
    Target::NodeSelector(key.to_owned())
}

#[test]
fn reads_documented_options_with_the_case_of_their_keys() {
    let text = "-Dorg.terrakube.executor.ephemeral.nodeSelector.diskType=ssd \
                -Dorg.terrakube.executor.ephemeral.nodeSelector.nodeType=spot";
    assert_eq!(
        entries(text),
        [(label("diskType"), "ssd".to_owned()), (label("nodeType"), "spot".to_owned())]
    );
}

#[test]
fn compares_fixed_part_without_case_and_dashes() {
    let prefix = "io.terrakube.executor.ephemeral";
    let cases = [
        (format!("{prefix}.namespace"), Target::Setting("ExecutorEphemeralNamespace")),
        (format!("{prefix}.IMAGE"), Target::Setting("ExecutorEphemeralImage")),
        ("IO.Terra-kube.EXECUTOR.ephemeral.secret".to_owned(), Target::Setting("ExecutorEphemeralSecret")),
        (format!("{prefix}.nodeSelector.a"), label("a")),
        (format!("{prefix}.node-selector.a"), label("a")),
        (format!("{prefix}.nodeselector.a"), label("a")),
        (format!("{prefix}.NODE_SELECTOR.a"), label("a")),
        (format!("{prefix}[image]"), Target::Setting("ExecutorEphemeralImage")),
        (format!("{prefix}.payload-delivery"), Target::Setting("ExecutorEphemeralPayloadDelivery")),
        ("ExecutorEphemeralNamespace".to_owned(), Target::Setting("ExecutorEphemeralNamespace")),
        ("ExecutorEphemeralImage".to_owned(), Target::Setting("ExecutorEphemeralImage")),
        ("ExecutorEphemeralSecret".to_owned(), Target::Setting("ExecutorEphemeralSecret")),
    ];
    for (name, target) in cases {
        assert_eq!(entries(&format!("-D{name}=v")), [(target, "v".to_owned())], "{name}");
    }
}

#[test]
fn reads_label_key_after_dot_or_in_brackets() {
    let cases = [
        (".diskType", "diskType"),
        (".disk-type", "disk-type"),
        (".disk_type", "disk_type"),
        (".topology.zone", "topology.zone"),
        (".0", "0"),
        ("..a", "a"),
        ("[kubernetes.io/os]", "kubernetes.io/os"),
        (".[kubernetes.io/os]", "kubernetes.io/os"),
        ("[a].b", "a.b"),
        ("[a][b]", "a.b"),
        ("[a]b", "a.b"),
        ("[a[0]]", "a[0]"),
        ("[-a]", "-a"),
        (".a.[b/c]", "a.b/c"),
    ];
    for (rest, key) in cases {
        let option = format!("-Dio.terrakube.executor.ephemeral.nodeSelector{rest}=v");
        assert_eq!(entries(&option), [(label(key), "v".to_owned())], "{rest}");
    }
}

#[test]
fn splits_option_at_first_equals_sign() {
    let cases = [("=a=b", "a=b"), ("=", ""), ("", ""), ("=\"a b\"", "a b")];
    for (rest, value) in cases {
        let option = format!("-DExecutorEphemeralImage{rest}");
        assert_eq!(
            entries(&option),
            [(Target::Setting("ExecutorEphemeralImage"), value.to_owned())],
            "{rest}"
        );
    }
}

#[test]
fn orders_short_names_old_prefix_and_new_prefix() {
    let text = "-Dio.terrakube.executor.ephemeral.image=new -Dorg.terrakube.executor.ephemeral.image=old \
                -DExecutorEphemeralImage=short";
    let values: Vec<String> = entries(text).into_iter().map(|(_, value)| value).collect();
    assert_eq!(values, ["short", "old", "new"]);
}

#[test]
fn ignores_other_options() {
    for text in [
        "",
        "-Xmx1g -javaagent:/a.jar --add-opens=java.base/java.lang=ALL-UNNAMED",
        "-D",
        "-D=x",
        "-Duser.timezone=UTC",
        "-Dio.terrakube.executor.url=x",
        "-Dcom.terrakube.executor.ephemeral.image=x",
        "-Dio.terrakube.executor.ephemeralx.image=x",
        "Dio.terrakube.executor.ephemeral.image=x",
        "'-D io.terrakubé.executor.ephemeral.x'",
    ] {
        assert_eq!(entries(text), [], "{text}");
    }
}

#[test]
fn rejects_unknown_names_with_suggestion() {
    let option = "JAVA_TOOL_OPTIONS -Dio.terrakube.executor.ephemeral";
    let cases = [
        (
            "-Dio.terrakube.executor.ephemeral.nodeSelectr.a=b",
            format!(
                "{option}.nodeSelectr.a: expected the name of a known setting; did you mean \"nodeSelector\"?"
            ),
        ),
        (
            "-Dio.terrakube.executor.ephemeral.x=b",
            format!(
                "{option}.x: expected the name of a known setting; known are namespace, image, secret, \
                 payloadDelivery, podStartTimeout, maxRunningSteps, maxRunningStepsPerOrganization, \
                 planRetries, lostContactTimeout, localJobRetention, nodeSelector"
            ),
        ),
        (
            "-DExecutorEphemeralImages=x",
            "JAVA_TOOL_OPTIONS -DExecutorEphemeralImages: expected the name of a known setting; did you mean \
             \"ExecutorEphemeralImage\"?"
                .to_owned(),
        ),
        (
            "-Dexecutorephemeralimage=x",
            "JAVA_TOOL_OPTIONS -Dexecutorephemeralimage: expected the name of a known setting; did you mean \
             \"ExecutorEphemeralImage\"?"
                .to_owned(),
        ),
        (
            "-Xmx1g '-Da=b",
            "environment variable JAVA_TOOL_OPTIONS: expected a second ' that ends the quoted text; the \
             quote ' at character 8 is not closed"
                .to_owned(),
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(problems(text), [expected], "{text}");
    }
}

#[test]
fn rejects_node_selector_without_usable_label_key() {
    let option = "JAVA_TOOL_OPTIONS -Dio.terrakube.executor.ephemeral";
    let cases = [
        (
            "-Dio.terrakube.executor.ephemeral.nodeSelector=b",
            format!(
                "{option}.nodeSelector: expected a label key after the name of the node selector; write \
                 nodeSelector.diskType=ssd"
            ),
        ),
        (
            "-Dio.terrakube.executor.ephemeral.nodeSelector.-a-b=c",
            format!(
                "{option}.nodeSelector.-a-b: found \"-a-b\", expected a label key of letters, digits, `_`, \
                 `.` and inner `-`, or any label key in brackets; write nodeSelector[-a-b]; \
                 without brackets it would be read as \"a-b\""
            ),
        ),
        (
            "-Dio.terrakube.executor.ephemeral.nodeSelector.kubernetes.io/os=linux",
            format!(
                "{option}.nodeSelector.kubernetes.io/os: found \"kubernetes.io/os\", expected a label key of \
                 letters, digits, `_`, `.` and inner `-`, or any label key in brackets; write \
                 nodeSelector[kubernetes.io/os]; without brackets it would be read as \"kubernetes.ioos\""
            ),
        ),
        (
            "-Dio.terrakube.executor.ephemeral.nodeSelector[a=b",
            format!("{option}.nodeSelector[a: expected a `]` for every `[`"),
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(problems(text), [expected], "{text}");
    }
}

proptest! {
    #[test]
    fn reads_any_text_without_panic(text in ".*") {
        let _ = read_tool_options(&text);
    }

    #[test]
    fn reads_any_name_below_the_prefix_without_panic(rest in r"[\[\]a-c./_\-é=]*") {
        let _ = read_tool_options(&format!("-Dio.terrakube.executor.ephemeral.nodeSelector{rest}=v"));
        let _ = read_tool_options(&format!("-Dorg.terrakube.executor.ephemeral.{rest}"));
    }

    #[test]
    fn reads_any_label_key_in_brackets(key in "[A-Za-z0-9]([A-Za-z0-9._-]{0,10}[A-Za-z0-9])?(/[A-Za-z0-9]{1,5})?") {
        let option = format!("-Dio.terrakube.executor.ephemeral.nodeSelector[{key}]=v");
        prop_assert_eq!(entries(&option), [(label(&key), "v".to_owned())]);
    }
}
