//! Whether bytes are a Terraform state, and which one; the memory it needs does not depend on their number.
//!
//! A state is JSON of version 4 with lineage and serial. The encrypted form of OpenTofu has lineage and
//! serial in clear text beside the encrypted rest. Everything else is refused, so that nothing but a state is
//! ever handed to Terraform.

use std::{
    io::{self, BufReader, Read},
    ops::Range,
};

use serde::{Deserialize, de::IgnoredAny};

/// Objects and lists may be nested this deep.
const MAX_DEPTH: usize = 512;

/// Keys of the state itself, and its texts that are read, may have this many bytes.
const MAX_TEXT_BYTES: usize = 256;

const BUFFER_BYTES: usize = 64 * 1024;

/// The keys whose values the parser keeps.
const READ_KEYS: [&[u8]; 4] = [b"version", b"serial", b"lineage", b"encryption_version"];

/// What is read of a state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateDocument {
    /// Terraform's serial number.
    pub serial: i64,
    /// Terraform's lineage.
    pub lineage: String,
    /// Where the digits of the serial number are, in bytes.
    pub serial_at: Range<u64>,
    /// Whether it is the encrypted form of OpenTofu, which binds lineage and serial to the encrypted rest.
    pub is_encrypted: bool,
}

/// The bytes are not a state.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// They are not JSON, or could not be read.
    #[error("the body is not the JSON of a Terraform state: {0}")]
    Json(serde_json::Error),
    /// It is JSON of something else.
    #[error(
        "the body is not a Terraform state: expected \"version\": 4 (or OpenTofu's encrypted form) with a \
         lineage and a serial number, {0}"
    )]
    Other(String),
}

#[derive(Debug, Deserialize)]
struct Head {
    version: Option<i64>,
    serial: Option<u64>,
    lineage: Option<String>,
    encryption_version: Option<String>,
    encrypted_data: Option<IgnoredAny>,
}

impl StateDocument {
    /// Reads a state.
    ///
    /// # Errors
    /// [`DocumentError`] when the bytes are no state.
    pub fn read(reader: impl Read) -> Result<Self, DocumentError> {
        let mut guard = Guard::new(reader);
        // The parser reads byte by byte, the guard sees whole buffers.
        let buffered = BufReader::with_capacity(BUFFER_BYTES, &mut guard);
        let head: Head = serde_json::from_reader(buffered).map_err(DocumentError::Json)?;
        let other = |found: &str| Err(DocumentError::Other(format!("found {found}")));
        let is_encrypted = head.encryption_version.is_some() && head.encrypted_data.is_some();
        match head.version {
            Some(4) => {}
            None if is_encrypted => {}
            None => return other("no version"),
            Some(version) => return other(&format!("version {version}")),
        }
        let Some(lineage) = head.lineage.filter(|lineage| !lineage.is_empty()) else {
            return other("no lineage");
        };
        let Some((serial, serial_at)) = head.serial.zip(guard.serial_at) else {
            return other("no serial number");
        };
        let Ok(serial) = i64::try_from(serial) else {
            return other(&format!("serial {serial}"));
        };
        Ok(Self { serial, lineage, serial_at, is_encrypted })
    }
}

/// Sees what the parser reads next, bounds what the parser keeps in memory, and finds the serial number.
struct Guard<R> {
    inner: R,
    position: u64,
    depth: usize,
    in_string: bool,
    escaped: bool,
    /// At depth 1: a value follows, or is being read.
    in_value: bool,
    text_bytes: usize,
    key: Vec<u8>,
    serial_at: Option<Range<u64>>,
}

impl<R: Read> Guard<R> {
    fn new(inner: R) -> Self {
        Self {
            inner,
            position: 0,
            depth: 0,
            in_string: false,
            escaped: false,
            in_value: false,
            text_bytes: 0,
            key: Vec::new(),
            serial_at: None,
        }
    }

    fn see(&mut self, byte: u8) -> io::Result<()> {
        if self.in_string {
            self.see_in_string(byte)?;
        } else {
            match byte {
                b'"' => {
                    self.in_string = true;
                    self.text_bytes = 0;
                    if self.depth == 1 && !self.in_value {
                        self.key.clear();
                    }
                }
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                b':' if self.depth == 1 => self.in_value = true,
                b',' if self.depth == 1 => self.in_value = false,
                b'0'..=b'9' if self.depth == 1 && self.in_value && self.key == b"serial" => {
                    let start = self.serial_at.as_ref().map_or(self.position, |range| range.start);
                    self.serial_at = Some(start..self.position + 1);
                }
                _ => {}
            }
            if self.depth > MAX_DEPTH {
                return Err(io::Error::other(format!("it is nested deeper than {MAX_DEPTH} levels")));
            }
        }
        self.position += 1;
        Ok(())
    }

    fn see_in_string(&mut self, byte: u8) -> io::Result<()> {
        match byte {
            _ if self.escaped => self.escaped = false,
            b'\\' => self.escaped = true,
            b'"' => {
                self.in_string = false;
                return Ok(());
            }
            _ => {}
        }
        if self.depth != 1 {
            return Ok(());
        }
        self.text_bytes += 1;
        let is_kept = !self.in_value || READ_KEYS.contains(&self.key.as_slice());
        if is_kept && self.text_bytes > MAX_TEXT_BYTES {
            return Err(io::Error::other(format!("a text is longer than {MAX_TEXT_BYTES} bytes")));
        }
        if !self.in_value {
            self.key.push(byte);
        }
        Ok(())
    }
}

impl<R: Read> Read for Guard<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        for byte in &buffer[..read] {
            self.see(*byte)?;
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<StateDocument, String> {
        StateDocument::read(text.as_bytes()).map_err(|error| error.to_string())
    }

    #[test]
    fn reads_states_of_terraform_and_encrypted_ones_of_opentofu() {
        let text = r#"{"version":4,"terraform_version":"1.11.4","serial": 12 ,"lineage":"l","outputs":{"serial":7}}"#;
        let state = read(text).unwrap();
        assert_eq!((state.serial, state.lineage.as_str(), state.is_encrypted), (12, "l", false));
        let at =
            usize::try_from(state.serial_at.start).unwrap()..usize::try_from(state.serial_at.end).unwrap();
        assert_eq!(&text[at], "12");
        let encrypted = r#"{"serial":3,"lineage":"l","meta":{"key_provider.pbkdf2.a":"eyJ9"},
                            "encrypted_data":"AAAA","encryption_version":"v0"}"#;
        let state = read(encrypted).unwrap();
        assert_eq!((state.serial, state.is_encrypted), (3, true));
    }

    #[test]
    fn refuses_everything_else() {
        let cases = [
            ("", "not the JSON"),
            ("no state", "not the JSON"),
            ("[]", "not the JSON"),
            (r#"{"version":4,"serial":1,"lineage":"l"} {}"#, "trailing"),
            (r#"{"version":4,"serial":1,"lineage":"l""#, "EOF"),
            (r#"{"version":4,"serial":1,"serial":2,"lineage":"l"}"#, "duplicate field"),
            (r#"{"serial":1,"lineage":"l"}"#, "found no version"),
            (r#"{"version":3,"serial":1,"lineage":"l"}"#, "found version 3"),
            (r#"{"version":"4","serial":1,"lineage":"l"}"#, "not the JSON"),
            (r#"{"version":4,"lineage":"l"}"#, "found no serial"),
            (r#"{"version":4,"serial":-1,"lineage":"l"}"#, "not the JSON"),
            (r#"{"version":4,"serial":1.5,"lineage":"l"}"#, "not the JSON"),
            (r#"{"version":4,"serial":18446744073709551615,"lineage":"l"}"#, "found serial 1844"),
            (r#"{"version":4,"serial":1}"#, "found no lineage"),
            (r#"{"version":4,"serial":1,"lineage":""}"#, "found no lineage"),
            (r#"{"serial":1,"lineage":"l","encryption_version":"v0"}"#, "found no version"),
        ];
        for (text, expected) in cases {
            let error = read(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn bounds_what_is_kept_in_memory() {
        let long = "x".repeat(MAX_TEXT_BYTES + 1);
        let deep = "[".repeat(MAX_DEPTH + 1);
        let cases = [
            format!(r#"{{"{long}":1,"version":4}}"#),
            format!(r#"{{"lineage":"{long}"}}"#),
            format!(r#"{{"encryption_version":"{long}"}}"#),
            format!(r#"{{"version":"{long}"}}"#),
            format!(r#"{{"resources":{deep}"#),
        ];
        for text in cases {
            let error = read(&text).unwrap_err();
            assert!(error.contains("longer than") || error.contains("nested deeper"), "{error}");
        }
        // Other texts may be long.
        let text =
            format!(r#"{{"encrypted_data":"{long}","encryption_version":"v0","lineage":"l","serial":1}}"#);
        assert!(read(&text).is_ok());
    }
}
