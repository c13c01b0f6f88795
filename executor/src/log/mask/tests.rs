//! Tables of secrets in the spellings they occur in.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE},
};
use proptest::prelude::*;

use super::{MaskedLines, Masker, is_maskable};

fn masker<'s>(secrets: impl IntoIterator<Item = &'s str>) -> Masker {
    Masker::new(secrets).unwrap()
}

/// Returns the masked form of the first bytes of a line.
fn mask_start(masker: &Masker, line: &str, keep: usize) -> String {
    let mut lines = MaskedLines::new(masker.clone());
    lines.push(line, keep);
    let start = lines.finish().concat();
    start.strip_suffix(" (line cut)").unwrap_or(&start).to_owned()
}

#[test]
fn masks_secrets_in_every_spelling() {
    let cases: &[(&str, &[&str], &str, &str)] = &[
        ("plain", &["hunter22"], "password = hunter22!", "password = ***!"),
        ("twice", &["hunter22"], "hunter22hunter22 hunter22", "****** ***"),
        ("longest first", &["abc", "abcdef"], "abcdef abc", "*** ***"),
        ("longest first, whatever the order", &["abcdef", "abc"], "abcdef abc", "*** ***"),
        ("longest at the end", &["def", "abcdef"], "abcdef def", "*** ***"),
        ("inside another", &["cde", "abcdefg"], "abcdefg abcdef", "*** ab***f"),
        ("overlapping", &["abcd", "cdef"], "xabcdefx", "x***x"),
        ("overlapping chain", &["abc", "cde", "efg"], "abcdefgh", "***h"),
        ("overlapping itself", &["abab"], "abababx", "***x"),
        ("bridged by a longer one", &["abc", "efg", "bcdef"], "xabcdefgx", "x***x"),
        ("a common word", &["true"], "sensitive = true # untrue", "sensitive = *** # un***"),
        ("escaped for HCL", &["say \"hi\" ${x}"], r#"v = "say \"hi\" $${x}""#, r#"v = "***""#),
        ("escaped for JSON", &["a\tb\"c"], r#"{"v":"a\tb\"c"}"#, r#"{"v":"***"}"#),
        ("escaped for JSON as Go does it", &["a<b&c"], r#""a\u003cb\u0026c""#, r#""***""#),
        (
            "JSON inside JSON",
            &["a\"b\nc"],
            r#"{"log":"{\"v\":\"a\\\"b\\nc\"}"}"#,
            r#"{"log":"{\"v\":\"***\"}"}"#,
        ),
        ("newline on one line", &["first\nsecond"], r#"v = "first\nsecond""#, r#"v = "***""#),
        ("one line of several", &["first\n  second"], "   + second", "   + ***"),
        ("carriage returns", &["first\r\nsecond"], "first", "***"),
        ("shell-quoted", &["it's me"], r"echo 'it'\''s me'", r"echo '***'"),
        ("percent-encoded", &["p@ss/w-rd"], "https://me:p%40ss%2Fw-rd@host", "https://me:***@host"),
        ("base64", &["user:hunter22"], "Basic dXNlcjpodW50ZXIyMg==", "Basic ***"),
        ("part of a list", &[r#"["alpha", "beta\"x"]"#], r#"+ "beta\"x""#, r#"+ "***""#),
        ("value in a map", &[r#"{ user = "alpha", "name" = "beta1" }"#], "alpha beta1 name", "*** *** name"),
        ("escaped for JSON in ASCII", &["pässwörd"], r#""p\u00e4ssw\u00f6rd""#, r#""***""#),
        ("percent-encoded by Go", &["p@ss+w=rd!x"], "https://me:p%40ss+w=rd%21x@host", "https://me:***@host"),
        ("percent-encoded as a form", &["two words/"], "q=two+words%2f&x", "q=***&x"),
        ("backslashes of a shell", &["two $words"], r"+ echo two\ \$words", "+ echo ***"),
        ("double quotes of a shell", &["pa$$ `x`"], r#"echo "pa\$\$ \`x\`""#, r#"echo "***""#),
        ("quoted for YAML", &["it's me!"], "v: 'it''s me!'", "v: '***'"),
        ("escaped for XML", &["a<b>'c'&"], "<V>a&lt;b&gt;&#39;c&#39;&amp;</V>", "<V>***</V>"),
        ("number with zeros", &["00123456.50"], "pin = 123456.5", "pin = ***"),
        ("number with exponent", &["1234567891"], "1.234567891e+09 1234567891", "*** ***"),
        ("number in a map", &[r#"{"pin": 8675309, "port": 443}"#], "pin = 8675309, 443", "pin = ***, 443"),
        ("reformatted JSON", &[r#"{"a":"x1y2z3"}"#], r#"{ "a": "x1y2z3" }"#, "***"),
        ("base64 behind a user name", &["hunter"], "dXNlcjpodW50ZXI=", "dXNlcj***="),
        ("base64 with a newline", &["hunter2"], "aHVudGVyMgo=", "***o="),
        ("other white space", &["correct horse battery"], "correct  horse\tbattery", "***"),
        ("white space inside a short one", &["abc"], "ab c abc", "ab c ***"),
        ("unicode", &["pässwörd"], "é pässwörd ü", "é *** ü"),
        ("too short", &["", "a", "ab"], "ab a b", "ab a b"),
        ("empty lines", &["\n\n", " \n "], "a\n b", "a\n b"),
        ("none", &[], "anything", "anything"),
        ("the replacement itself", &["***"], "a *** b", "a *** b"),
    ];
    for (name, secrets, line, expected) in cases {
        assert_eq!(masker(secrets.iter().copied()).mask(line), *expected, "{name}");
    }
}

#[test]
fn masks_base64_of_longer_text() {
    let (secret, masker) = ("hunter22~~~?", masker(["hunter22~~~?"]));
    for before in ["", "a", "ab", "abc", "user:"] {
        for after in ["", "x", "xy", "\n"] {
            let text = format!("{before}{secret}{after}");
            for encoded in [STANDARD.encode(&text), URL_SAFE.encode(&text)] {
                let text_of_log = masker.mask(&encoded).into_owned();
                // At most one character at each end belongs to the secret and its neighbour.
                let rest = text_of_log.replace("***", "");
                assert!(text_of_log.contains("***"), "{text:?}: {text_of_log}");
                assert!(rest.len() <= (before.len() + after.len()) * 4 / 3 + 6, "{text:?}: {text_of_log}");
            }
        }
    }
}

#[test]
fn cuts_line_without_cutting_a_secret() {
    let masker = masker(["hunter22"]);
    assert_eq!(masker.longest(), STANDARD.encode("hunter22").len());
    let line = "say hunter22 twice: hunter22";
    for (keep, expected) in [
        (3, "say"),
        (4, "say "),
        (5, "say ***"),
        (11, "say ***"),
        (12, "say ***"),
        (13, "say *** "),
        (21, "say *** twice: ***"),
        (28, "say *** twice: ***"),
    ] {
        assert_eq!(mask_start(&masker, line, keep), expected, "{keep}");
    }
}

#[test]
fn longest_is_zero_without_secrets() {
    assert_eq!(masker([]).longest(), 0);
    assert_eq!(masker(["", "ab"]).longest(), 4, "only the base64 text of ab is long enough");
}

#[test]
fn reports_values_that_are_too_short() {
    for value in ["", "\n \n", "abc", "first\nsecond\n", "\n\nfirst\n", "{\n  first\n}\n"] {
        assert!(is_maskable(value), "{value:?}");
    }
    for value in ["a", "12", " ab ", "ab\ncd\nef"] {
        assert!(!is_maskable(value), "{value:?}");
    }
}

#[test]
fn debug_shows_no_secret() {
    assert!(!format!("{:?}", masker(["hunter22"])).contains("hunter22"));
}

proptest! {
    #[test]
    fn no_secret_survives(
        secrets in proptest::collection::vec("[a-d\"\\\\é\n]{3,8}", 1..4),
        before in "[a-d é]{0,6}",
        after in "[a-d é]{0,6}",
    ) {
        let masker = masker(secrets.iter().map(String::as_str));
        for secret in &secrets {
            for line in format!("{before}{secret}{after}").lines() {
                let masked = masker.mask(line).into_owned();
                for part in secrets.iter().flat_map(|secret| secret.lines()).filter(|part| part.len() >= 3) {
                    prop_assert!(!masked.contains(part), "{part:?} is in {masked:?}");
                }
            }
        }
    }

    #[test]
    fn cut_line_is_a_prefix_of_the_masked_line(
        secrets in proptest::collection::vec("[a-c]{3,5}", 1..4),
        line in "[a-d]{0,20}",
        keep in 0_usize..20,
    ) {
        let masker = masker(secrets.iter().map(String::as_str));
        let keep = keep.min(line.len());
        let (whole, cut) = (masker.mask(&line), mask_start(&masker, &line, keep));
        prop_assert!(whole.starts_with(&*cut), "{cut:?} is no start of {whole:?}");
    }
}
