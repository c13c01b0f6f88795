//! Takes secrets out of log lines.
//!
//! Pure text to text. Terraform hides what the configuration marks as sensitive; this is the second net, for provider
//! messages, `local-exec` output and trace logs, and it knows values, not variables.
//!
//! A secret is looked for as a whole, line by line (output comes in lines), and in the spellings in which terraform and
//! its tools print a text: escaped for HCL or JSON, shell-quoted, in base64. Of a list or map the quoted texts inside are
//! secrets of their own. Texts shorter than [`SHORTEST`] are not masked: they occur everywhere, and a log full of stars
//! would tell their length and place without hiding them.

use std::{borrow::Cow, collections::BTreeSet, fmt};

use base64::{Engine as _, engine::general_purpose::STANDARD};

/// What a secret is replaced by.
const STARS: &str = "***";

/// Length in bytes below which a text is not masked.
const SHORTEST: usize = 3;

/// Knows the secrets of one attempt.
#[derive(Clone)]
pub(crate) struct Masker {
    /// Longest first, so that the first match at a place is the longest one.
    patterns: Vec<String>,
    starts: [bool; 256],
}

impl fmt::Debug for Masker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Masker").field("patterns", &self.patterns.len()).finish_non_exhaustive()
    }
}

impl Masker {
    /// Learns the secrets.
    pub(crate) fn new<'s>(secrets: impl IntoIterator<Item = &'s str>) -> Self {
        let mut patterns = BTreeSet::new();
        for secret in secrets {
            learn(secret, &mut patterns);
            for part in quoted_parts(secret) {
                learn(&part, &mut patterns);
            }
        }
        patterns.retain(|pattern| pattern.len() >= SHORTEST);
        let mut starts = [false; 256];
        for pattern in &patterns {
            starts[usize::from(pattern.as_bytes()[0])] = true;
        }
        let mut patterns: Vec<String> = patterns.into_iter().collect();
        patterns.sort_by_key(|pattern| std::cmp::Reverse(pattern.len()));
        Self { patterns, starts }
    }

    /// Replaces every secret of a line. Secrets that overlap are replaced together, so that no rest of one remains.
    pub(crate) fn mask<'l>(&self, line: &'l str) -> Cow<'l, str> {
        let mut found: Vec<(usize, usize)> = Vec::new();
        for (start, byte) in line.bytes().enumerate() {
            if !self.starts[usize::from(byte)] {
                continue;
            }
            let rest = &line.as_bytes()[start..];
            let Some(hit) = self.patterns.iter().find(|pattern| rest.starts_with(pattern.as_bytes())) else {
                continue;
            };
            let end = start + hit.len();
            match found.last_mut() {
                Some(last) if start < last.1 => last.1 = last.1.max(end),
                _ => found.push((start, end)),
            }
        }
        if found.is_empty() {
            return Cow::Borrowed(line);
        }
        let mut masked = String::with_capacity(line.len());
        let mut from = 0;
        for (start, end) in found {
            masked.push_str(&line[from..start]);
            masked.push_str(STARS);
            from = end;
        }
        masked.push_str(&line[from..]);
        Cow::Owned(masked)
    }
}

/// Adds a secret in all its spellings, whole and line by line.
fn learn(secret: &str, patterns: &mut BTreeSet<String>) {
    let json = json_escaped(secret);
    patterns.insert(STANDARD.encode(secret));
    for spelling in [
        secret.to_owned(),
        hcl_escaped(secret),
        json.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026"),
        json,
        secret.replace('\'', r"'\''"),
    ] {
        // Output arrives in lines, and terraform indents them.
        patterns.extend(spelling.lines().map(str::trim).map(str::to_owned));
        patterns.insert(spelling);
    }
}

fn json_escaped(text: &str) -> String {
    let quoted = serde_json::to_string(text).expect("a text is JSON");
    quoted[1..quoted.len() - 1].to_owned()
}

/// Spells a text as terraform does between quotes.
fn hcl_escaped(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
        .replace('\r', "\\r")
        .replace('\t', "\\t")
        .replace("${", "$${")
        .replace("%{", "%%{")
}

/// Finds the quoted texts inside a list or map written in HCL or JSON, without the keys of the map.
fn quoted_parts(secret: &str) -> Vec<String> {
    if !secret.trim_start().starts_with(['[', '{']) {
        return Vec::new();
    }
    let mut parts = Vec::new();
    let mut rest = secret;
    while let Some(start) = rest.find('"') {
        let inside = &rest[start + 1..];
        let mut escaped = false;
        let end = inside.find(|c| {
            let closes = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            closes
        });
        let Some(end) = end else { break };
        rest = &inside[end + 1..];
        if !rest.trim_start().starts_with(['=', ':']) {
            let raw = &inside[..end];
            let plain = serde_json::from_str(&format!("\"{raw}\"")).unwrap_or_else(|_| raw.to_owned());
            parts.push(plain);
        }
    }
    parts
}

#[cfg(test)]
mod tests;
