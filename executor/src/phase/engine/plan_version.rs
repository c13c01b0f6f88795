//! Reads from a plan file which version made it.
//!
//! A plan file is a zip archive. Its entry `tfplan` is a protocol buffer message whose field 14 is the
//! version. Both programs refuse a plan of another version, so an apply must use the same one. Nothing else
//! depends on this reading: an encrypted plan, or a format of the future, has no version here.

use std::io::{Cursor, Read as _};

use semver::Version;
use zip::ZipArchive;

use super::version::parse_version;

const VERSION_FIELD: u64 = 14;
const MAX_PLAN_BYTES: u64 = 256 * 1024 * 1024;

/// Returns the version that made a plan, if the plan says so.
pub(super) fn read(plan: &[u8]) -> Option<Version> {
    let mut archive = ZipArchive::new(Cursor::new(plan)).ok()?;
    let mut message = Vec::new();
    archive.by_name("tfplan").ok()?.take(MAX_PLAN_BYTES).read_to_end(&mut message).ok()?;
    let text = std::str::from_utf8(field(&message, VERSION_FIELD)?).ok()?;
    parse_version(text)
}

/// Finds a field of type bytes or text at the top level of a message.
fn field(mut message: &[u8], wanted: u64) -> Option<&[u8]> {
    while !message.is_empty() {
        let key = variable_integer(&mut message)?;
        match key & 7 {
            0 => drop(variable_integer(&mut message)?),
            1 => message = message.get(8..)?,
            2 => {
                let length = usize::try_from(variable_integer(&mut message)?).ok()?;
                let (value, rest) = message.split_at_checked(length)?;
                if key >> 3 == wanted {
                    return Some(value);
                }
                message = rest;
            }
            5 => message = message.get(4..)?,
            _ => return None,
        }
    }
    None
}

fn variable_integer(message: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (first, rest) = message.split_first()?;
        *message = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use zip::{ZipWriter, write::SimpleFileOptions};

    use super::*;

    fn plan(message: &[u8]) -> Vec<u8> {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        zip.start_file("tfplan", SimpleFileOptions::default()).unwrap();
        zip.write_all(message).unwrap();
        zip.finish().unwrap().into_inner()
    }

    #[test]
    fn finds_the_version_between_other_fields() {
        // version = 3, a fixed64, a message with a field 14 of its own, a fixed32, terraform_version.
        let message = b"\x08\x03\x11\0\0\0\0\0\0\0\0\x12\x03\x72\x01x\x1d\0\0\0\0\x72\x061.11.4\x80\x01\x01";
        assert_eq!(read(&plan(message)), Some(Version::new(1, 11, 4)));
    }

    #[test]
    fn other_bytes_have_no_version() {
        let long = [b"\x72".as_slice(), &[0xff; 20]].concat();
        for message in [b"".as_slice(), b"\x72\x7f1.11.4", b"\x73", b"\x72\x03abc", &long] {
            assert_eq!(read(&plan(message)), None);
        }
        for other in [b"".as_slice(), b"{\"encrypted_data\":\"x\"}", b"PK\x05\x06"] {
            assert_eq!(read(other), None);
        }
    }
}
