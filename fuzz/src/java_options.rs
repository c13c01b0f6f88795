//! The tokenizer of `JAVA_TOOL_OPTIONS` against the loop of the virtual machine, written down once more.

use config_core::java_options::{split, system_property};

use crate::{Target, owned, text_of};

pub(crate) const TARGET: Target = Target {
    name: "java-options",
    longest: 64,
    about: "options are split as by the loop of the virtual machine, and quoted options read as themselves",
    seeds: || {
        owned(&[
            "-Xmx1g -Da=\"b c\"d '' \"\"",
            "-Dorg.terrakube.executor.ephemeral.nodeSelector.diskType=ssd\t-Da='b",
            " -Dk -Dk= -D=v\x0b-Dé='\"'\u{a0}x\r\n",
        ])
    },
    run,
};

fn run(data: &[u8]) {
    let text = text_of(data);
    match (split(&text), as_the_machine_does(text.as_bytes())) {
        (Ok(options), Some(expected)) => {
            let options_as_bytes: Vec<&[u8]> = options.iter().map(String::as_bytes).collect();
            assert_eq!(options_as_bytes, expected, "{text:?}");
            let quoted: Vec<String> = options.iter().map(|option| quoted(option)).collect();
            assert_eq!(split(&quoted.join(" ")).as_deref(), Ok(options.as_slice()), "{text:?}");
            for option in &options {
                property(option);
            }
        }
        (Err(unmatched), None) => {
            let found = text.chars().nth(unmatched.position - 1);
            assert_eq!(found, Some(unmatched.quote), "the position is that of the quote: {text:?}");
            let rest: String = text.chars().skip(unmatched.position).collect();
            assert!(!rest.contains(unmatched.quote), "it has an end: {text:?}");
        }
        (ours, theirs) => panic_with(&text, ours.is_ok(), theirs.is_some()),
    }
}

#[track_caller]
fn panic_with(text: &str, ours: bool, theirs: bool) {
    assert_eq!(ours, theirs, "one accepts what the other refuses: {text:?}");
}

fn property(option: &str) {
    let Some((key, value)) = system_property(option) else {
        assert!(!option.starts_with("-D"), "{option:?} is a property");
        return;
    };
    assert!(!key.contains('='), "{option:?}");
    let written = [format!("-D{key}={value}"), format!("-D{key}")];
    assert!(written[0] == option || (value.is_empty() && written[1] == option), "{option:?}");
}

/// Quotes an option so that it reads as itself.
pub(crate) fn quoted(option: &str) -> String {
    format!("\"{}\"", option.replace('"', "\"'\"'\""))
}

/// The loop over bytes with two cursors; `None` is its refusal.
fn as_the_machine_does(text: &[u8]) -> Option<Vec<Vec<u8>>> {
    let is_space = |byte: u8| matches!(byte, b' ' | 9..=13);
    let mut options = Vec::new();
    let mut read = 0;
    while read < text.len() {
        while read < text.len() && is_space(text[read]) {
            read += 1;
        }
        if read == text.len() {
            break;
        }
        let mut option = Vec::new();
        while read < text.len() && !is_space(text[read]) {
            let byte = text[read];
            read += 1;
            if byte != b'\'' && byte != b'"' {
                option.push(byte);
                continue;
            }
            let length = text[read..].iter().position(|end| *end == byte)?;
            option.extend_from_slice(&text[read..read + length]);
            read += length + 1;
        }
        options.push(option);
    }
    Some(options)
}
