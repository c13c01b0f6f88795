//! Texts and their tokens.

use proptest::prelude::*;

use super::{
    Token::{Mark, Newline, Text, Word},
    *,
};

#[test]
fn splits_blocks_texts_comments_and_heredocs() {
    let cases: [(&str, &[Token<'_>]); 7] = [
        ("a = \"b\" # c\n", &[Word("a"), Mark('='), Text("b"), Newline]),
        ("// x\n/* y\n */ z-1", &[Newline, Word("z-1")]),
        ("\"a ${f(\"b}\")} \\\" c\"", &[Text("a ${f(\"b}\")} \\\" c")]),
        ("\"$${a\" b", &[Text("$${a"), Word("b")]),
        (
            "x = <<-EOT\n  \"not closed\n  EOT\ny",
            &[Word("x"), Mark('='), Text("  \"not closed\n"), Newline, Word("y")],
        ),
        ("<<EOT\nEOT", &[Text("")]),
        ("größe<2", &[Word("größe"), Mark('<'), Word("2")]),
    ];
    for (text, expected) in cases {
        assert_eq!(tokens(text), (expected.to_vec(), None), "{text}");
    }
}

#[test]
fn expression_is_closed() {
    for text in [
        "1",
        "\"a\"",
        "[1, 2]",
        "{ a = \"}\" }",
        "<<EOT\n)\nEOT",
        "<<EOT\n)\nEOT\n",
        "[\n  1, # ]\n  2,\n]",
        "null",
    ] {
        assert_eq!(check_expression(text), Ok(()), "{text}");
    }
    for (text, fault) in [
        ("", Fault::Empty),
        (" \n# 1\n", Fault::Empty),
        ("[1", Fault::Open),
        ("1)\nother = (2", Fault::Close),
        ("(1]", Fault::Close),
        ("\"a", Fault::Text),
        ("\"a\nb\"", Fault::Text),
        ("\"${f(\"x)\"", Fault::Text),
        ("/* 1", Fault::Comment),
        ("<<EOT\n1\n", Fault::Heredoc),
    ] {
        assert_eq!(check_expression(text), Err(fault), "{text}");
    }
}

proptest! {
    #[test]
    fn splits_any_text_without_panic(text in "[a-c\"${}%<>EOT\\\\\n#/*()é-]{0,40}|.*") {
        let _ = tokens(&text);
        let _ = check_expression(&text);
    }
}
