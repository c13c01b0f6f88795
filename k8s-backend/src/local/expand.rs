//! Expands `$(NAME)` as the kubelet does.
//!
//! `$$` is one `$`, so `$$(NAME)` stays literal; an undefined reference stays as it is; a `$` before anything
//! else is a `$`. The result is not expanded again.

/// Expands every reference of a text that `lookup` knows.
pub(crate) fn expand(text: &[u8], lookup: impl Fn(&[u8]) -> Option<Vec<u8>>) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.iter().position(|byte| *byte == b'$') {
        out.extend_from_slice(&rest[..at]);
        rest = &rest[at..];
        let (written, used) = match rest.get(1) {
            Some(b'$') => (b"$".to_vec(), 2),
            Some(b'(') => match rest.iter().position(|byte| *byte == b')') {
                Some(end) => (lookup(&rest[2..end]).unwrap_or_else(|| rest[..=end].to_vec()), end + 1),
                None => (b"$(".to_vec(), 2),
            },
            _ => (b"$".to_vec(), 1),
        };
        out.extend(written);
        rest = &rest[used..];
    }
    out.extend_from_slice(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expands_references_like_the_kubelet() {
        let lookup = |name: &[u8]| match name {
            b"A" => Some(b"alpha".to_vec()),
            b"EMPTY" => Some(Vec::new()),
            b"REF" => Some(b"$(A)".to_vec()),
            _ => None,
        };
        for (text, expected) in [
            ("", ""),
            ("plain", "plain"),
            ("$(A)", "alpha"),
            ("<$(A)-$(A)>", "<alpha-alpha>"),
            ("$(EMPTY)", ""),
            ("$(REF)", "$(A)"),
            ("$(UNKNOWN)", "$(UNKNOWN)"),
            ("$()", "$()"),
            ("$$(A)", "$(A)"),
            ("$$$(A)", "$alpha"),
            ("$$$$(A)", "$$(A)"),
            ("$A ${A} $", "$A ${A} $"),
            ("$(A", "$(A"),
            ("$($(A)", "$($(A)"),
            ("a$", "a$"),
        ] {
            assert_eq!(String::from_utf8(expand(text.as_bytes(), lookup)).unwrap(), expected, "{text:?}");
        }
    }
}
