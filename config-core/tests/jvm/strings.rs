//! Texts for `JAVA_TOOL_OPTIONS`: usual ones, special cases, and any number of generated ones.
//!
//! The generator is deterministic. It creates only options that a virtual machine accepts or ignores, so that
//! a text fails only for its quotes.

use std::collections::BTreeSet;

use proptest::{
    prelude::*,
    strategy::ValueTree as _,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};

/// Texts of documentation and of existing manifests.
const WRITTEN: &[&str] = &[
    "-Dorg.terrakube.executor.ephemeral.nodeSelector.diskType=ssd \
     -Dorg.terrakube.executor.ephemeral.nodeSelector.nodeType=spot",
    "-Dio.terrakube.executor.ephemeral.nodeSelector[kubernetes.io/os]=linux",
    "-DExecutorEphemeralImage=registry.example/executor:1.10 -Xmx64m",
    r#"-Dio.terrakube.executor.ephemeral.nodeSelector.pool="a b"  -XX:+UseSerialGC"#,
    "\n  -Dorg.terrakube.executor.ephemeral.image=a\n  -Dorg.terrakube.executor.ephemeral.secret=b\n",
];

/// Special cases, one rule each.
const ODD: &[&str] = &[
    "",
    " \t\n\u{b}\u{c}\r",
    "-Da=1\t-Db=2\n-Dc=3\u{b}-Dd=4\u{c}-De=5\r-Df=6",
    "-Da=1\u{a0}-Db=2\u{2003}-Dc=3\u{85}-Dd=4\u{feff}",
    r#"-Da="b c"d'e f'"g"#,
    r#"-Da="b c"d'e f'"g""#,
    r#"-D"a b"=c '-Dd e=f' "-"D'g=h'"#,
    r#"-Da="it's" -Db='"'"#,
    r#"'' "" -Da='' -Db="" ''"#,
    r"-Da=b\ c\\ -Dd=\'e\'",
    r#"-Da=\"b c\"d"#,
    "-Da='b\nc' -Dd=\"\te\r\"",
    "-Da=1 -Da=2 -Da",
    "-Da -Da=1 -Da==2 -Da=3=4",
    "-D -D= -D=value",
    "-D=value -D",
    "-Da =1 - Db=2 -D c=3",
    "-Dä=ö -D漢字=\u{1f980} '-Dé=a\u{301} b'",
    "-da=1 --Db=2 -d-Dc=3 x-Dd=4",
    "-Da='",
    "\"",
    "'\"",
    "-Da=1 '-Db=2\"",
    "-Da=\"it's -Db=2",
    "-Da='1'' -Db=2",
];

const KEYS: &[&str] = &[
    "a",
    "key",
    "Key",
    "a.b",
    "a-b_c",
    "ExecutorEphemeralImage",
    "io.terrakube.executor.ephemeral.image",
    "io.terrakube.executor.ephemeral.nodeSelector.diskType",
    "io.terrakube.executor.ephemeral.node-selector[kubernetes.io/os]",
    "org.terrakube.executor.ephemeral.nodeSelector.diskType",
    "clé",
    "鍵",
];

const SPACES: &[&str] = &[" ", "\t", "\n", "\u{b}", "\u{c}", "\r"];

/// Returns `count` different texts, always in the same order: first the usual ones and the special cases.
pub(crate) fn texts(count: usize) -> Vec<String> {
    let mut runner = TestRunner::new_with_rng(
        Config::default(),
        TestRng::from_seed(RngAlgorithm::ChaCha, b"java-virtual-machine-test-texts!"),
    );
    let mut seen = BTreeSet::new();
    let mut texts: Vec<String> = WRITTEN.iter().chain(ODD).map(ToString::to_string).collect();
    seen.extend(texts.iter().cloned());
    let any = any_text();
    while texts.len() < count {
        let text = any.new_tree(&mut runner).expect("no strategy here rejects").current();
        if seen.insert(text.clone()) {
            texts.push(text);
        }
    }
    texts
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![5 => well_formed(), 2 => with_one_more_quote(), 3 => soup()]
}

/// Options between separators, every quote closed.
fn well_formed() -> impl Strategy<Value = String> {
    let gap = prop::collection::vec(prop::sample::select(SPACES), 1..3).prop_map(|spaces| spaces.concat());
    (prop::collection::vec((option(), gap), 0..7), prop::option::of(prop::sample::select(SPACES))).prop_map(
        |(options, before)| {
            let mut text = before.unwrap_or_default().to_owned();
            text.extend(options.into_iter().flat_map(|(option, gap)| [option, gap]));
            text
        },
    )
}

fn option() -> impl Strategy<Value = String> {
    let key = || prop_oneof![4 => prop::sample::select(KEYS).prop_map(str::to_owned), 1 => "[a-z._]{0,4}"];
    prop_oneof![
        8 => (key(), pieces()).prop_map(|(key, value)| format!("-D{key}={value}")),
        1 => key().prop_map(|key| format!("-D{key}")),
        1 => (key(), bare()).prop_map(|(key, value)| format!("'-D{key}={value} '")),
        1 => (key(), bare()).prop_map(|(key, value)| format!("-\"D {key}\"={value}")),
        1 => prop::sample::select(&["''", "\"\"", "''\"\"", "-", "=", "word", "-ea", "-Xmx64m", "-XX:+UseSerialGC"][..])
            .prop_map(str::to_owned),
    ]
}

/// A value of adjacent pieces, each bare or in quotes of either kind.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        3 => bare(),
        1 => inside().prop_map(|text| format!("'{}'", text.replace('\'', "\""))),
        1 => inside().prop_map(|text| format!("\"{}\"", text.replace('"', "'"))),
    ];
    prop::collection::vec(piece, 0..4).prop_map(|pieces| pieces.concat())
}

fn bare() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "[a-zA-Z0-9=;:,/\\\\#!$%{}-]{0,6}",
        1 => r#"[^\x00-\x20\x7f'"]{0,3}"#,
    ]
}

/// The text between two quotes, which may hold every kind of space and quotes.
fn inside() -> impl Strategy<Value = String> {
    "[ -~\t\n\u{b}\u{c}\r\u{a0}\u{2028}é漢🦀]{0,6}"
}

/// A well-formed text and a quote at any place of it, which opens, closes or is text.
fn with_one_more_quote() -> impl Strategy<Value = String> {
    (well_formed(), any::<prop::sample::Index>(), any::<bool>()).prop_map(|(text, place, single)| {
        let mut characters: Vec<char> = text.chars().collect();
        characters.insert(place.index(characters.len() + 1), if single { '\'' } else { '"' });
        characters.into_iter().collect()
    })
}

/// Random sequences of the characters that have a meaning.
fn soup() -> impl Strategy<Value = String> {
    let element = prop_oneof![
        3 => prop::sample::select(&["'", "\"", "'", "\"", "''", "\"\""][..]),
        3 => prop::sample::select(&["-D", " -D", "-Dk", " -Dk=", "-", "D"][..]),
        2 => prop::sample::select(SPACES),
        3 => prop::sample::select(&["=", "k", "v", ".", "\\", "\\\"", "é", "\u{a0}", "\u{85}", "\u{1}", "#"][..]),
    ];
    prop::collection::vec(element, 0..16).prop_map(|elements| elements.concat())
}
