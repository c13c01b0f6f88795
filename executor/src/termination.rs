//! The termination message: what a cluster shows of an executor whose report never arrives.
//!
//! The kubelet reads the file after the end of the container, however it ended. So it always holds what is
//! known: the current phase until the end, then the result until it is delivered, then nothing. It is JSON in
//! at most [`MAX_BYTES`], without secrets. Code in the step can write the file too, so it decides nothing.

use std::{
    fs::File,
    io::{self, Write as _},
    path::Path,
    sync::Arc,
};

use config_core::EnvSnapshot;
use job_spec::{ExitCode, attempt_api::TERMINATION_LOG_ENV};
use serde::Serialize;

/// Where Kubernetes mounts the file.
const DEFAULT_PATH: &str = "/dev/termination-log";

/// What Kubernetes keeps of a message.
const MAX_BYTES: usize = 4096;

/// The file for the message. A missing one is not created: nothing would read it.
#[derive(Debug, Clone)]
pub(crate) struct Termination(Arc<Path>);

/// A termination message.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Message<'a> {
    /// What happened, in one sentence.
    #[serde(rename = "message")]
    text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    exit_code: Option<u8>,
    /// The phase in which a killed executor was.
    #[serde(skip_serializing_if = "Option::is_none")]
    phase: Option<&'a str>,
}

impl Termination {
    /// Finds the file by the environment.
    pub(crate) fn new(env: &EnvSnapshot) -> Self {
        let path = env.get(TERMINATION_LOG_ENV).filter(|path| Path::new(path).is_absolute());
        Self(Path::new(path.unwrap_or(DEFAULT_PATH)).into())
    }

    /// Leaves the message of an executor that is killed in a phase.
    pub(crate) fn in_phase(&self, phase: &str) {
        let message = format!("the executor was killed in its phase {phase:?}");
        self.write(&Message { text: &message, exit_code: None, phase: Some(phase) });
    }

    /// Leaves the message of an executor that exits with this code.
    pub(crate) fn end(&self, code: ExitCode, message: &str) {
        self.write(&Message { text: message, exit_code: Some(code.code()), phase: None });
    }

    /// Leaves no message: the api-server knows everything.
    pub(crate) fn clear(&self) {
        self.replace(&[]);
    }

    fn write(&self, message: &Message<'_>) {
        self.replace(&encode(message));
    }

    fn replace(&self, bytes: &[u8]) {
        let written = File::options()
            .write(true)
            .truncate(true)
            .open(&self.0)
            .and_then(|mut file| file.write_all(bytes));
        match written {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::debug!(%error, file = %self.0.display(), "could not write the termination message");
            }
            _ => {}
        }
    }
}

/// Encodes a message; a long text is cut off.
fn encode(message: &Message<'_>) -> Vec<u8> {
    let mut limit = message.text.len().min(MAX_BYTES);
    loop {
        let text = &message.text[..message.text.floor_char_boundary(limit)];
        let bytes =
            serde_json::to_vec(&Message { text, ..*message }).expect("a struct of texts and numbers is JSON");
        if bytes.len() <= MAX_BYTES {
            return bytes;
        }
        limit = limit * 3 / 4;
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn at(path: &Path) -> Termination {
        let value = path.to_str().unwrap().to_owned();
        Termination::new(&[(TERMINATION_LOG_ENV.to_owned(), value)].into_iter().collect())
    }

    #[test]
    fn replaces_the_message_and_creates_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("termination-log");
        let termination = at(&path);
        termination.in_phase("terraform");
        assert!(!path.exists());
        fs::write(&path, "").unwrap();
        let text = || fs::read_to_string(&path).unwrap();
        termination.in_phase("terraform");
        let phase = r#"{"message":"the executor was killed in its phase \"terraform\"","phase":"terraform"}"#;
        assert_eq!(text(), phase);
        termination.end(ExitCode::ApiUnreachable, "no route");
        assert_eq!(text(), r#"{"message":"no route","exitCode":13}"#);
        termination.clear();
        assert_eq!(text(), "");
    }

    #[test]
    fn message_fits_whatever_its_characters_are() {
        for text in ["ä".repeat(9000), "\u{1b}\"".repeat(9000), "x".to_owned()] {
            let bytes = encode(&Message { text: &text, exit_code: Some(10), phase: None });
            assert!(bytes.len() <= MAX_BYTES, "{}", bytes.len());
            let parsed: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
            assert!(text.starts_with(parsed["message"].as_str().unwrap()));
            assert!(bytes.len() > 2000 || text.len() == 1);
        }
    }

    #[test]
    fn uses_the_path_of_kubernetes_by_default() {
        for value in [None, Some(""), Some("relative")] {
            let env: EnvSnapshot =
                value.map(|value| (TERMINATION_LOG_ENV.to_owned(), value.to_owned())).into_iter().collect();
            assert_eq!(&*Termination::new(&env).0, Path::new(DEFAULT_PATH));
        }
    }
}
