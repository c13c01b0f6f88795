//! The spellings in which terraform and its tools print a value.
//!
//! As it is, line by line, escaped for HCL or JSON (also JSON inside JSON), quoted for a shell, for YAML or
//! for XML, percent-encoded as in an address, and in base64 alone or as a part of a longer text. A number
//! also in the forms that programs give it. Of a list or map, the texts and numbers in it are values of their
//! own.

use std::{collections::BTreeSet, fmt::Write as _};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use job_spec::MIN_SENSITIVE_CHARS;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use self::numbers::number_spellings;
use super::normalize::compared;

mod numbers;

/// Length in bytes below which only the complete base64 text of a value is masked: parts of short values are
/// too common.
const MIN_BASE64_PART: usize = MIN_SENSITIVE_CHARS;

/// What an address may hold as it is (RFC 3986, section 2.3), and what is encoded.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What Go leaves as it is in the user name and the password of an address.
const RESERVED_BY_GO: &AsciiSet =
    &RESERVED.remove(b'$').remove(b'&').remove(b'+').remove(b',').remove(b';').remove(b'=');

/// What `encodeURIComponent` of JavaScript and many libraries leave as it is.
const RESERVED_BY_BROWSERS: &AsciiSet =
    &RESERVED.remove(b'!').remove(b'\'').remove(b'(').remove(b')').remove(b'*');

/// Whether the characters beside an occurrence depend on the secret too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Edges {
    pub(super) before: bool,
    pub(super) after: bool,
}

/// Returns every spelling of a value, in the bytes that are compared.
pub(super) fn spellings_of(value: &str) -> BTreeSet<(Vec<u8>, Edges)> {
    let mut spellings = BTreeSet::new();
    add_text(value, &mut spellings);
    for part in parts(value) {
        add_text(&part, &mut spellings);
    }
    spellings
}

fn add_text(text: &str, spellings: &mut BTreeSet<(Vec<u8>, Edges)>) {
    add_base64(text, spellings);
    if text.trim() != text {
        add_base64(text.trim(), spellings);
    }
    for spelling in number_spellings(text).into_iter().filter(|number| number.len() >= MIN_SENSITIVE_CHARS) {
        add_lines(&spelling, spellings);
    }
    let json = json_escaped(text);
    let percent = [RESERVED, RESERVED_BY_GO, RESERVED_BY_BROWSERS]
        .map(|reserved| utf8_percent_encode(text, reserved).to_string());
    for encoded in percent.iter().flat_map(|upper| [upper.clone(), lower_case_hex(upper)]) {
        add_lines(&encoded.replace("%20", "+"), spellings);
        add_lines(&encoded, spellings);
    }
    for spelling in [
        text.to_owned(),
        hcl_escaped(text),
        json.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026"),
        ascii_escaped(&json),
        json_escaped(&json),
        json,
        text.replace('\'', r"'\''"),
        text.replace('\'', "''"),
        text.replace('\\', "\\\\").replace('\'', "\\'"),
        escaped(text, |c| "\\\"$`".contains(c)),
        escaped(text, |c| c.is_ascii() && !c.is_ascii_alphanumeric() && !"\n%+-./:=@_".contains(c)),
        xml_escaped(text, "&#34;", "&#39;"),
        xml_escaped(text, "&quot;", "&apos;"),
    ] {
        add_lines(&spelling, spellings);
    }
}

/// Adds a text as a whole, with its lines one after the other, and each line.
fn add_lines(text: &str, spellings: &mut BTreeSet<(Vec<u8>, Edges)>) {
    let mut add = |bytes: Vec<u8>| spellings.insert((bytes, Edges::default()));
    let bytes =
        |line: &str, at_start: bool| compared(line, at_start).map(|(_, byte)| byte).collect::<Vec<_>>();
    // Terraform puts something in front of each line; the first may also stand behind something.
    for first_at_start in [false, true] {
        let lines = text.lines().enumerate();
        add(lines.flat_map(|(index, line)| bytes(line, first_at_start || index > 0)).collect());
    }
    for line in text.lines() {
        add(bytes(line, false));
        add(bytes(line, true));
    }
}

/// Adds the base64 text of a value, and the part of a longer base64 text that depends on the value alone.
fn add_base64(text: &str, spellings: &mut BTreeSet<(Vec<u8>, Edges)>) {
    spellings.insert((STANDARD.encode(text).into_bytes(), Edges::default()));
    if text.len() < MIN_BASE64_PART {
        return;
    }
    for before in 0..3 {
        // Three bytes become four characters; a character at either end may belong to a neighbour too.
        let padded = [&[0; 2][..before], text.as_bytes()].concat();
        let bits = padded.len() * 8;
        let (start, whole) = ((before * 8).div_ceil(6), bits / 6);
        let edges = Edges { before: before > 0, after: bits % 6 != 0 };
        for encoded in [STANDARD_NO_PAD.encode(&padded), URL_SAFE_NO_PAD.encode(&padded)] {
            spellings.insert((encoded.as_bytes()[start..whole].to_vec(), edges));
        }
    }
}

fn json_escaped(text: &str) -> String {
    let quoted = serde_json::to_string(text).expect("a text is JSON");
    quoted[1..quoted.len() - 1].to_owned()
}

/// Escapes what is not ASCII, as many JSON libraries do.
fn ascii_escaped(json: &str) -> String {
    let mut ascii = String::with_capacity(json.len());
    for c in json.chars() {
        if c.is_ascii() {
            ascii.push(c);
        } else {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                let _ = write!(ascii, "\\u{unit:04x}");
            }
        }
    }
    ascii
}

fn escaped(text: &str, is_special: impl Fn(char) -> bool) -> String {
    text.chars().flat_map(|c| is_special(c).then_some('\\').into_iter().chain([c])).collect()
}

fn xml_escaped(text: &str, double_quote: &str, single_quote: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', double_quote)
        .replace('\'', single_quote)
}

/// Writes the hexadecimal digits of percent-encoded bytes in lower case.
fn lower_case_hex(encoded: &str) -> String {
    let mut parts = encoded.split('%');
    let mut lower = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (digits, rest) = part.split_at(part.len().min(2));
        lower.push('%');
        lower.push_str(&digits.to_ascii_lowercase());
        lower.push_str(rest);
    }
    lower
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

/// Finds the texts and numbers inside a list or map written in HCL or JSON, without the keys of the map.
fn parts(value: &str) -> Vec<String> {
    if !value.trim_start().starts_with(['[', '{']) {
        return Vec::new();
    }
    let mut parts = quoted_parts(value);
    match serde_json::from_str::<Value>(value) {
        Ok(json) => leaves(&json, &mut parts),
        Err(_) => parts.extend(numbers::unquoted(value).into_iter().filter(is_long)),
    }
    parts
}

/// Returns whether a number is more than a port or a count, which occur everywhere.
#[expect(clippy::ptr_arg, reason = "the items of an iterator are strings")]
fn is_long(number: &String) -> bool {
    number.len() >= MIN_SENSITIVE_CHARS
}

fn leaves(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) => found.push(text.clone()),
        Value::Number(number) => found.extend(Some(number.to_string()).filter(is_long)),
        Value::Array(items) => items.iter().for_each(|item| leaves(item, found)),
        Value::Object(fields) => fields.values().for_each(|field| leaves(field, found)),
        Value::Null | Value::Bool(_) => {}
    }
}

fn quoted_parts(value: &str) -> Vec<String> {
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
