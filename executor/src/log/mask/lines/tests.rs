//! What terraform and its tools really print, line by line.

use std::time::{Duration, Instant};

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{MAX_HELD_BYTES, MAX_HOLD, MaskedLines, Masker};

fn lines(secrets: &[&str]) -> MaskedLines {
    MaskedLines::new(Masker::new(secrets.iter().copied()).unwrap())
}

fn masked(secrets: &[&str], text: &str) -> String {
    let mut lines = lines(secrets);
    let mut written = Vec::new();
    for line in text.lines() {
        lines.push(line, line.len());
        written.extend(lines.ready(Instant::now()));
    }
    written.extend(lines.finish());
    written.join("\n")
}

/// Puts a text in front of each line.
fn behind<'l>(before: &str, lines: impl Iterator<Item = &'l str>) -> String {
    lines.map(|line| format!("{before}{line}\n")).collect::<Vec<_>>().concat()
}

const PASSPHRASE: &str = "correct horse battery staple and some more words to fill the line";

/// As terraform 1.11 prints the error of a provider without a terminal.
const WRAPPED: &str = "\
╷
│ Error: creating user: the password correct horse battery staple and some
│ more words to fill the line is too long
│ 
│   with aws_iam_user.this,
│   on main.tf line 3, in resource \"aws_iam_user\" \"this\":
│    3: resource \"aws_iam_user\" \"this\" {
│ 
╵";

#[test]
fn masks_passphrase_that_terraform_wraps_at_78_columns() {
    let text = masked(&[PASSPHRASE], WRAPPED);
    assert!(text.contains("│ Error: creating user: the password ***\n│ *** is too long\n│ \n"), "{text}");
    let colored = WRAPPED.replace("│ ", "\u{1b}[31m│\u{1b}[0m \u{1b}[0m");
    let text = masked(&[PASSPHRASE], &colored);
    assert!(!text.contains("horse") && !text.contains("words"), "{text}");
}

#[test]
fn masks_output_that_terraform_prints_as_two_lines() {
    let text = "x.a (local-exec): token hunt\nx.a (local-exec): er22 end\nx.a: Creation complete";
    let expected = "x.a (local-exec): token ***\nx.a (local-exec): *** end\nx.a: Creation complete";
    assert_eq!(masked(&["hunter22"], text), expected);
}

#[test]
fn outputs_of_several_resources_do_not_disturb_each_other() {
    let text = "x.a (local-exec): hunt\nx.b (local-exec): hunte\nx.c: Still creating...\n\
                x.b (local-exec): r22\nx.a (local-exec): er22";
    let expected = "x.a (local-exec): ***\nx.b (local-exec): ***\nx.c: Still creating...\n\
                    x.b (local-exec): ***\nx.a (local-exec): ***";
    assert_eq!(masked(&["hunter22"], text), expected);
}

#[test]
fn masks_every_line_of_a_private_key_in_a_plan_and_in_an_error() {
    let key = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQ\nab\nQw==\n-----END KEY-----\n";
    for before in ["", "      + ", "│ ", "x.a (local-exec): ", "  | "] {
        let text = masked(&[key], &behind(before, key.lines()));
        assert_eq!(text, format!("{before}***\n").repeat(5).trim_end(), "{before}");
    }
}

#[test]
fn masks_base64_text_in_lines_of_76_columns() {
    let secret = "s3cr3t-".repeat(20);
    let text = STANDARD.encode(format!("user:{secret}\n"));
    let wrapped: Vec<String> =
        text.as_bytes().chunks(76).map(|line| String::from_utf8(line.to_vec()).unwrap()).collect();
    for before in ["", "x.a (local-exec): "] {
        let text = masked(&[&secret], &behind(before, wrapped.iter().map(String::as_str)));
        for line in text.lines() {
            let rest = line.strip_prefix(before).unwrap().replace("***", "");
            assert!(rest.len() <= "dXNlcj".len(), "{text}");
        }
    }
}

#[test]
fn line_waits_only_if_its_end_may_be_the_beginning_of_a_secret() {
    let mut lines = lines(&["hunter22"]);
    let now = Instant::now();
    lines.push("Apply complete", 14);
    assert_eq!((lines.ready(now), lines.due()), (vec!["Apply complete".to_owned()], None));
    lines.push("say hunt", 8);
    lines.push("x.b (local-exec): other", 23);
    assert!(lines.ready(now).is_empty() && lines.due().is_some(), "the order is kept");
    assert_eq!(lines.ready(now + MAX_HOLD + Duration::from_secs(1)), ["say ***", "x.b (local-exec): other"]);
    lines.push("er22 now", 8);
    assert_eq!(lines.ready(now), ["*** now"]);
}

#[test]
fn beginning_of_three_characters_is_shown_when_nothing_follows() {
    let mut lines = lines(&["hunter22"]);
    lines.push("say hun", 7);
    assert_eq!(lines.ready(Instant::now() + MAX_HOLD * 2), ["say hun"]);
    lines.push("ter22", 5);
    assert_eq!(lines.ready(Instant::now()), ["***"]);
}

#[test]
fn waiting_lines_are_bounded() {
    let mut lines = lines(&["hunter22"]);
    lines.push("hunt", 4);
    let line = " ".repeat(1024 * 1024);
    let mut written = 0;
    for _ in 0..6 {
        lines.push(&line, line.len());
        written += lines.ready(Instant::now()).len();
        assert!(lines.held_bytes <= MAX_HELD_BYTES);
    }
    assert!(written >= 2, "{written}");
}
