//! The spellings in which terraform and its tools print a value.
//!
//! As it is, line by line, escaped for HCL or JSON (also JSON inside JSON), quoted for a shell,
//! percent-encoded as in an address, and in base64 alone or as a part of a longer text. Of a list or map, the
//! quoted texts are values of their own.

use std::collections::BTreeSet;

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Length in bytes below which only the complete base64 text of a value is masked: parts of short values are
/// too common.
const MIN_BASE64_PART: usize = 8;

/// What an address may hold as it is (RFC 3986, section 2.3), and what is encoded.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Adds every spelling of a value.
pub(super) fn add_spellings(value: &str, patterns: &mut BTreeSet<String>) {
    add_text(value, patterns);
    for part in quoted_parts(value) {
        add_text(&part, patterns);
    }
}

fn add_text(text: &str, patterns: &mut BTreeSet<String>) {
    add_base64(text, patterns);
    let json = json_escaped(text);
    for spelling in [
        text.to_owned(),
        hcl_escaped(text),
        json.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026"),
        json_escaped(&json),
        json,
        text.replace('\'', r"'\''"),
        utf8_percent_encode(text, RESERVED).to_string(),
    ] {
        // Output arrives in lines, and terraform indents them.
        patterns.extend(spelling.lines().map(str::trim).map(str::to_owned));
        patterns.insert(spelling);
    }
}

/// Adds the base64 text of a value, and the part of a longer base64 text that depends on the value alone.
fn add_base64(text: &str, patterns: &mut BTreeSet<String>) {
    patterns.insert(STANDARD.encode(text));
    if text.len() < MIN_BASE64_PART {
        return;
    }
    for before in 0..3 {
        // Three bytes become four characters; a character at either end may belong to a neighbour too.
        let padded = [&[0; 2][..before], text.as_bytes()].concat();
        let (start, whole) = ((before * 8).div_ceil(6), padded.len() * 8 / 6);
        patterns.insert(STANDARD_NO_PAD.encode(&padded)[start..whole].to_owned());
        patterns.insert(URL_SAFE_NO_PAD.encode(&padded)[start..whole].to_owned());
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
fn quoted_parts(value: &str) -> Vec<String> {
    if !value.trim_start().starts_with(['[', '{']) {
        return Vec::new();
    }
    let mut parts = Vec::new();
    let mut rest = value;
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
