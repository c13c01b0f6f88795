//! The termination message of a container.
//!
//! The kubelet takes the end of the output in place of a missing message, and that is not evaluated: so only
//! a JSON object counts, in which the text `message` is for users.

use serde::Deserialize;

use super::cause::Cause;

/// What Kubernetes keeps of a message.
pub(crate) const MAX_BYTES: usize = 4096;

/// Returns the cause of a container that exited with a code other than 0.
pub(crate) fn cause(exit_code: i32, text: &str) -> Cause {
    match message(text) {
        Some(message) => Cause::ExitMessage { exit_code, message },
        None => Cause::ExitCode(Some(exit_code)),
    }
}

/// Returns the message for users in a termination message.
pub(crate) fn message(text: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Termination {
        message: String,
    }
    let text = text.trim();
    if !text.starts_with('{') || text.len() > MAX_BYTES {
        return None;
    }
    let Termination { message } = serde_json::from_str(text).ok()?;
    // It is shown in one line.
    let line = message.split_whitespace().collect::<Vec<_>>().join(" ");
    (!line.is_empty()).then_some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_json_objects_with_a_message_alone() {
        let text = r#"{"message":"could not reach\n the api-server","exitCode":13}"#;
        let expected = "could not reach the api-server".to_owned();
        assert_eq!(cause(13, text), Cause::ExitMessage { exit_code: 13, message: expected });
        assert_eq!(cause(13, text).to_string(), "exit code 13: could not reach the api-server");
        let long = format!(r#"{{"message":"{}"}}"#, "x".repeat(MAX_BYTES));
        for text in ["", "panicked at", r#"{"message":""}"#, r#"{"message":7}"#, r#"["message"]"#, &long] {
            assert_eq!(cause(13, text), Cause::ExitCode(Some(13)), "{text}");
        }
    }
}
