//! Tables of secrets in the spellings they occur in.

use proptest::prelude::*;

use super::Masker;

#[test]
fn secrets_are_masked_in_every_spelling() {
    let cases: &[(&str, &[&str], &str, &str)] = &[
        ("plain", &["hunter22"], "password = hunter22!", "password = ***!"),
        ("twice", &["hunter22"], "hunter22hunter22 hunter22", "****** ***"),
        ("longest first", &["abc", "abcdef"], "abcdef abc", "*** ***"),
        ("overlapping", &["abcd", "cdef"], "xabcdefx", "x***x"),
        ("escaped for HCL", &["say \"hi\" ${x}"], r#"v = "say \"hi\" $${x}""#, r#"v = "***""#),
        ("escaped for JSON", &["a\tb\"c"], r#"{"v":"a\tb\"c"}"#, r#"{"v":"***"}"#),
        ("escaped for JSON as Go does it", &["a<b&c"], r#""a\u003cb\u0026c""#, r#""***""#),
        ("newline on one line", &["first\nsecond"], r#"v = "first\nsecond""#, r#"v = "***""#),
        ("one line of several", &["first\n  second"], "   + second", "   + ***"),
        ("shell-quoted", &["it's me"], r"echo 'it'\''s me'", r"echo '***'"),
        ("base64", &["user:hunter22"], "Basic dXNlcjpodW50ZXIyMg==", "Basic ***"),
        ("part of a list", &[r#"["alpha", "beta\"x"]"#], r#"+ "beta\"x""#, r#"+ "***""#),
        ("value in a map", &[r#"{ user = "alpha", "name" = "beta1" }"#], "alpha beta1 name", "*** *** name"),
        ("unicode", &["pässwörd"], "é pässwörd ü", "é *** ü"),
        ("too short", &["", "a", "ab"], "ab a b", "ab a b"),
        ("none", &[], "anything", "anything"),
    ];
    for (name, secrets, line, expected) in cases {
        assert_eq!(Masker::new(secrets.iter().copied()).mask(line), *expected, "{name}");
    }
}

#[test]
fn debug_shows_no_secret() {
    assert!(!format!("{:?}", Masker::new(["hunter22"])).contains("hunter22"));
}

proptest! {
    #[test]
    fn no_secret_survives(
        secrets in proptest::collection::vec("[a-d\"\\\\é\n]{3,8}", 1..4),
        before in "[a-d é]{0,6}",
        after in "[a-d é]{0,6}",
    ) {
        let masker = Masker::new(secrets.iter().map(String::as_str));
        for secret in &secrets {
            for line in format!("{before}{secret}{after}").lines() {
                let masked = masker.mask(line).into_owned();
                for part in secrets.iter().flat_map(|secret| secret.lines()).filter(|part| part.len() >= 3) {
                    prop_assert!(!masked.contains(part), "{part:?} is in {masked:?}");
                }
            }
        }
    }
}
