//! The texts of Terrakube 2.27 as it reads them: with the splitting of Java's `String.split`.

/// An item of a list, where Terrakube 2.27 stops with an exception.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stop<'a>(pub(super) &'a str);

/// One `key=value`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Pair<'a> {
    pub(super) key: &'a str,
    pub(super) value: &'a str,
    /// Whether the value ended at a second `=` and the rest is lost.
    pub(super) is_cut: bool,
}

/// One `key[=value][:operator[:effect]]`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct OldToleration<'a> {
    pub(super) key: &'a str,
    pub(super) value: Option<&'a str>,
    pub(super) operator: &'a str,
    pub(super) effect: Option<&'a str>,
    /// Whether there is a fourth part.
    pub(super) has_rest: bool,
}

/// Splits as Java does: empty parts at the end are dropped, and a text without the
/// separator is its only part.
fn split(text: &str, separator: char) -> Vec<&str> {
    let mut parts: Vec<&str> = text.split(separator).collect();
    while parts.len() > 1 && parts.last().is_some_and(|part| part.is_empty()) {
        parts.pop();
    }
    if parts == [""] && !text.is_empty() {
        parts.clear();
    }
    parts
}

/// Reads a list of `key=value`, separated by `;`.
pub(super) fn pairs(text: &str) -> Result<Vec<Pair<'_>>, Stop<'_>> {
    split(text, ';').into_iter().map(pair).collect()
}

fn pair(item: &str) -> Result<Pair<'_>, Stop<'_>> {
    match split(item, '=')[..] {
        [key, value, ..] => Ok(Pair { key, value, is_cut: key.len() + 1 + value.len() < item.len() }),
        _ => Err(Stop(item)),
    }
}

/// Reads a list of tolerations, separated by `;`.
pub(super) fn tolerations(text: &str) -> Result<Vec<OldToleration<'_>>, Stop<'_>> {
    split(text, ';').into_iter().map(toleration).collect()
}

fn toleration(item: &str) -> Result<OldToleration<'_>, Stop<'_>> {
    let parts = split(item, ':');
    let head = *parts.first().ok_or(Stop(item))?;
    let (key, value) = if head.contains('=') {
        let Pair { key, value, is_cut: _ } = pair(head).map_err(|_| Stop(item))?;
        (key, Some(value))
    } else {
        (head, None)
    };
    Ok(OldToleration {
        key,
        value,
        operator: parts.get(1).copied().unwrap_or("Exists"),
        effect: parts.get(2).copied(),
        has_rest: parts.len() > 3,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn splits_text_like_java() {
        let cases: [(&str, &[&str]); 8] = [
            ("a=1;b=2", &["a=1", "b=2"]),
            ("a=1;", &["a=1"]),
            ("a;;b;;", &["a", "", "b"]),
            (";a", &["", "a"]),
            ("", &[""]),
            (";", &[]),
            (";;", &[]),
            (" ", &[" "]),
        ];
        for (text, parts) in cases {
            assert_eq!(split(text, ';'), parts, "{text:?}");
        }
    }

    #[test]
    fn truncates_pairs_at_second_equals_sign_and_stops_at_missing_value() {
        let read = |text| {
            pairs(text)
                .map(|pairs| pairs.iter().map(|pair| (pair.key, pair.value, pair.is_cut)).collect::<Vec<_>>())
        };
        assert_eq!(read("a=1;b=2;"), Ok(vec![("a", "1", false), ("b", "2", false)]));
        assert_eq!(read(" a = 1 "), Ok(vec![(" a ", " 1 ", false)]));
        assert_eq!(read("a=b=c;d=e="), Ok(vec![("a", "b", true), ("d", "e", true)]));
        assert_eq!(read(";"), Ok(vec![]));
        for (text, item) in [("a", "a"), ("a=", "a="), ("", ""), (";a=1", ""), ("a=1;;b=2", ""), ("=", "=")] {
            assert_eq!(read(text), Err(Stop(item)), "{text:?}");
        }
    }

    #[test]
    fn toleration_defaults_to_exists() {
        let toleration = |key, value, operator, effect, has_rest| {
            Ok(vec![OldToleration { key, value, operator, effect, has_rest }])
        };
        assert_eq!(tolerations("spot"), toleration("spot", None, "Exists", None, false));
        assert_eq!(tolerations("gpu=true"), toleration("gpu", Some("true"), "Exists", None, false));
        assert_eq!(
            tolerations("a/b=c=d:Equal:NoExecute:60"),
            toleration("a/b", Some("c"), "Equal", Some("NoExecute"), true)
        );
        assert_eq!(tolerations(""), toleration("", None, "Exists", None, false));
        for (text, item) in [("gpu=", "gpu="), ("a;:", ":")] {
            assert_eq!(tolerations(text), Err(Stop(item)), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in "[ab=:; ]{0,12}|.*") {
            let _ = pairs(&text);
            let _ = tolerations(&text);
        }
    }
}
