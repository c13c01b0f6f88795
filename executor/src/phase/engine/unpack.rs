//! Takes the program out of the zip file of a release.
//!
//! One entry is written, under a name that is ours: no other entry can write anything.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use zip::{ZipArchive, result::ZipError};

/// The largest program that is unpacked; terraform has less than 100 MiB.
pub(super) const MAX_PROGRAM_BYTES: u64 = 512 * 1024 * 1024;

/// The program cannot be taken out of the zip file.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UnpackError {
    #[error("could not read the zip file")]
    Zip(#[from] ZipError),
    #[error("the zip file contains no file {program:?}")]
    Missing { program: &'static str },
    #[error("{program:?} in the zip file is no regular file")]
    NotAFile { program: &'static str },
    #[error("{program:?} in the zip file is larger than {MAX_PROGRAM_BYTES} bytes")]
    TooLarge { program: &'static str },
    #[error("could not write the program")]
    Write(#[from] io::Error),
}

/// Writes the entry `program` of a zip file to `to`, as a program that everybody can run.
pub(super) fn unpack(archive: &Path, program: &'static str, to: &Path) -> Result<(), UnpackError> {
    let mut archive = ZipArchive::new(File::open(archive)?)?;
    let entry = match archive.by_name(program) {
        Ok(entry) => entry,
        Err(ZipError::FileNotFound) => return Err(UnpackError::Missing { program }),
        Err(error) => return Err(error.into()),
    };
    if !entry.is_file() {
        return Err(UnpackError::NotAFile { program });
    }
    let mut file = OpenOptions::new().create_new(true).write(true).mode(0o755).open(to)?;
    // The size in the archive may be wrong.
    let written = io::copy(&mut entry.take(MAX_PROGRAM_BYTES + 1), &mut file)?;
    if written > MAX_PROGRAM_BYTES {
        return Err(UnpackError::TooLarge { program });
    }
    // After a power failure of the node, the cache must not hold half of it.
    file.sync_all()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Write as _, os::unix::fs::PermissionsExt as _};

    use zip::{ZipWriter, write::SimpleFileOptions};

    use super::*;

    fn archive(folder: &Path, entries: &[(&str, &str)]) -> std::path::PathBuf {
        let path = folder.join("a.zip");
        let mut zip = ZipWriter::new(File::create(&path).unwrap());
        for (name, text) in entries {
            if let Some(target) = text.strip_prefix("-> ") {
                zip.add_symlink(*name, target, SimpleFileOptions::default()).unwrap();
            } else {
                zip.start_file(*name, SimpleFileOptions::default()).unwrap();
                zip.write_all(text.as_bytes()).unwrap();
            }
        }
        zip.finish().unwrap();
        path
    }

    #[test]
    fn writes_the_program_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let zip = archive(folder.path(), &[("../evil", "x"), ("LICENSE.txt", "y"), ("terraform", "program")]);
        let to = folder.path().join("out/terraform");
        fs::create_dir(folder.path().join("out")).unwrap();
        unpack(&zip, "terraform", &to).unwrap();
        assert_eq!(fs::read_to_string(&to).unwrap(), "program");
        assert_eq!(fs::metadata(&to).unwrap().permissions().mode() & 0o755, 0o755);
        let names = |folder: &Path| fs::read_dir(folder).unwrap().count();
        assert_eq!((names(folder.path()), names(&folder.path().join("out"))), (2, 1));
    }

    #[test]
    fn rejects_archives_without_a_plain_program() {
        let folder = tempfile::tempdir().unwrap();
        let to = folder.path().join("terraform");
        let cases: [(&[(&str, &str)], &str); 3] = [
            (&[("bin/terraform", "x")], "the zip file contains no file \"terraform\""),
            (&[("../terraform", "x")], "the zip file contains no file \"terraform\""),
            (&[("terraform", "-> /bin/sh")], "\"terraform\" in the zip file is no regular file"),
        ];
        for (entries, expected) in cases {
            let zip = archive(folder.path(), entries);
            assert_eq!(unpack(&zip, "terraform", &to).unwrap_err().to_string(), expected);
            assert!(!to.exists());
        }
        fs::write(folder.path().join("b.zip"), "no archive").unwrap();
        assert!(matches!(unpack(&folder.path().join("b.zip"), "terraform", &to), Err(UnpackError::Zip(_))));
    }
}
