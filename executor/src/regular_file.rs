//! Reads files that code of the step may have replaced: a pipe would be waited for, a device has no end, and
//! a link may lead to a file of the executor.

use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
};

use rustix::fs::{Mode, OFlags, open};

/// Files of a configuration, and records of terraform, are smaller.
pub(crate) const SMALL: u64 = 16 * 1024 * 1024;

/// Plan files and states; the server takes no more.
pub(crate) const LARGE: u64 = 256 * 1024 * 1024;

/// Reads a file that is no link.
///
/// # Errors
/// Those of the system; `InvalidInput` for what is no file, `FileTooLarge` beyond the limit.
pub(crate) fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    read_with(path, limit, OFlags::NOFOLLOW)
}

/// Reads a file of the configuration, which may be a link, as terraform does.
///
/// # Errors
/// Those of [`read`].
pub(crate) fn read_configuration(path: &Path) -> io::Result<Vec<u8>> {
    read_with(path, SMALL, OFlags::empty())
}

fn read_with(path: &Path, limit: u64, flags: OFlags) -> io::Result<Vec<u8>> {
    // Without waiting for the other end of a pipe.
    let flags = flags | OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = match open(path, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(rustix::io::Errno::LOOP) => return Err(no_file("a link")),
        Err(error) => return Err(error.into()),
    };
    if !file.metadata()?.is_file() {
        return Err(no_file("a folder, pipe or device"));
    }
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        let text = format!("it has more than {} MiB", limit >> 20);
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, text));
    }
    Ok(bytes)
}

fn no_file(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("it is {what}, not a file"))
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use rustix::fs::{CWD, FileType, mknodat};

    use super::*;

    #[test]
    fn reads_files_and_neither_waits_for_pipes_nor_follows_links() {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| folder.path().join(name);
        fs::write(place("file"), "text").unwrap();
        symlink("file", place("link")).unwrap();
        mknodat(CWD, place("pipe"), FileType::Fifo, Mode::RUSR, 0).unwrap();
        assert_eq!(read(&place("file"), SMALL).unwrap(), b"text");
        assert_eq!(read(&place("link"), SMALL).unwrap_err().to_string(), "it is a link, not a file");
        assert_eq!(read_configuration(&place("link")).unwrap(), b"text");
        for path in [place("pipe"), folder.path().to_owned(), "/dev/zero".into()] {
            let error = read_configuration(&path).unwrap_err();
            assert_eq!(error.to_string(), "it is a folder, pipe or device, not a file", "{path:?}");
        }
        assert_eq!(read(&place("file"), 3).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        assert_eq!(read(&place("nothing"), 3).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
