//! The file with the digests of a release, and the digest of a file.

use std::{
    fmt::Write as _,
    fs::File,
    io::{self, Read as _},
    path::Path,
};

use sha2::{Digest as _, Sha256};

/// Returns the digest that the checksum file states for a file, in lower case.
pub(super) fn stated<'a>(checksums: &'a str, file: &str) -> Option<&'a str> {
    checksums.lines().find_map(|line| {
        let (digest, name) = line.split_once(char::is_whitespace)?;
        // `sha256sum --binary` marks the name.
        let is_digest = digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
        (is_digest && name.trim().trim_start_matches('*') == file).then_some(digest)
    })
}

/// Returns the SHA-256 digest of a file.
pub(super) fn of_file(path: &Path) -> io::Result<String> {
    let (mut file, mut hasher) = (File::open(path)?, Sha256::new());
    let mut buffer = vec![0; 256 * 1024];
    loop {
        let length = file.read(&mut buffer)?;
        if length == 0 {
            return Ok(hex(&hasher.finalize()));
        }
        hasher.update(&buffer[..length]);
    }
}

/// Formats a digest.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_digest_by_name_of_file() {
        let digest = "ab".repeat(32);
        let text = format!("{}  other.zip\nno digest  a.zip\n{digest} *a.zip\n", "cd".repeat(32));
        assert_eq!(stated(&text, "a.zip"), Some(digest.as_str()));
        assert_eq!(stated(&text, "b.zip"), None);
        assert_eq!(stated(&text, "zip"), None);
    }

    #[test]
    fn digest_of_a_file_is_that_of_its_content() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "abc").unwrap();
        assert_eq!(
            of_file(file.path()).unwrap(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
