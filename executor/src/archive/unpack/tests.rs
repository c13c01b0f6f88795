//! Archives that are as they should be, and every kind that is not.

use std::{fs, os::unix::fs::PermissionsExt as _};

use flate2::{Compression, write::GzEncoder};
use tar::{Builder, EntryType, Header};

use super::*;
use crate::archive::{SOURCE_LIMITS, pack::pack};

/// Kind, name, and the content or the target.
type Entry<'a> = (EntryType, &'a str, &'a str);

fn archive(items: &[Entry<'_>]) -> Vec<u8> {
    let mut builder = Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (kind, name, text) in items {
        let is_link = kind.is_symlink() || kind.is_hard_link();
        let mut header = Header::new_gnu();
        header.set_entry_type(*kind);
        header.set_mode(0o644);
        let content = if is_link { "" } else { text };
        header.set_size(content.len() as u64);
        let gnu = header.as_gnu_mut().unwrap();
        gnu.name[..name.len()].copy_from_slice(name.as_bytes());
        if is_link {
            gnu.linkname[..text.len()].copy_from_slice(text.as_bytes());
        }
        header.set_cksum();
        builder.append(&header, content.as_bytes()).unwrap();
    }
    builder.into_inner().unwrap().finish().unwrap()
}

fn unpacked(bytes: &[u8], limits: &Limits) -> (tempfile::TempDir, Result<(), String>) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    fs::create_dir(&root).unwrap();
    fs::write(folder.path().join("outside"), "untouched").unwrap();
    let result = unpack(bytes, &root, limits).map_err(|error| crate::error_chain::chain(&error));
    assert_eq!(fs::read_to_string(folder.path().join("outside")).unwrap(), "untouched");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "something was written beside the folder");
    (folder, result)
}

#[test]
fn unpacks_files_folders_and_links() {
    let long = format!("{}/{}", "d".repeat(120), "f".repeat(120));
    let mut builder = Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    let mut header = Header::new_gnu();
    header.set_size(2);
    header.set_mode(0o4711);
    builder.append_data(&mut header, &long, &b"tf"[..]).unwrap();
    // The end of the first part of the archive is that of a complete one.
    let long_name = builder.into_inner().unwrap().finish().unwrap();
    let (folder, result) = unpacked(&long_name, &SOURCE_LIMITS);
    assert_eq!(result, Ok(()));
    let place = folder.path().join("root").join(&long);
    assert_eq!(fs::metadata(&place).unwrap().permissions().mode() & 0o7777, 0o755);

    let bytes = archive(&[
        (EntryType::XGlobalHeader, "pax_global_header", "19 comment=unknown\n"),
        (EntryType::Directory, "./", ""),
        (EntryType::Regular, "./main.tf", "one"),
        (EntryType::Regular, "main.tf", "two"),
        (EntryType::Regular, "a/b/c.txt", "c"),
        (EntryType::Regular, "old/", ""),
        (EntryType::Symlink, "a/link", "../main.tf"),
        (EntryType::Symlink, "broken", "a/nothing"),
        (EntryType::Link, "hard", "main.tf"),
    ]);
    let (folder, result) = unpacked(&bytes, &SOURCE_LIMITS);
    assert_eq!(result, Ok(()));
    let read = |name: &str| fs::read_to_string(folder.path().join("root").join(name)).unwrap();
    assert_eq!(
        (read("main.tf"), read("a/b/c.txt"), read("a/link")),
        ("two".into(), "c".into(), "two".into())
    );
    assert_eq!(read("hard"), "two");
    assert!(folder.path().join("root/old").is_dir());
}

#[test]
fn refuses_entries_that_lead_out_of_the_folder() {
    use EntryType::{Link, Regular, Symlink};
    let cases: [(&[Entry<'_>], &str); 11] = [
        (&[(Regular, "../outside", "x")], r#"entry "../outside" is outside"#),
        (&[(Regular, "a/../../outside", "x")], "is outside"),
        (&[(Regular, "/etc/cron.d/x", "x")], "is outside"),
        (&[(Symlink, "up", ".."), (Regular, "up/outside", "x")], r#"is below "up", which is no folder"#),
        (&[(Symlink, "up", "..")], r#"link "up" to ".." leads out"#),
        (&[(Symlink, "etc", "/etc")], "leads out"),
        (
            &[
                (Regular, "a/b/f", "x"),
                (Symlink, "a/b/root", "../.."),
                (Symlink, "escape", "a/b/root/../outside"),
            ],
            r#"link "escape""#,
        ),
        (&[(Link, "hard", "../outside")], "is outside"),
        (&[(Link, "hard", "/etc/passwd")], "is outside"),
        (&[(Symlink, "l", "x"), (Link, "hard", "l")], "does not name an earlier file"),
        (&[(Regular, "f", "x"), (Regular, "f/g", "x")], r#"is below "f""#),
    ];
    for (items, expected) in cases {
        let (_folder, result) = unpacked(&archive(items), &SOURCE_LIMITS);
        let error = result.unwrap_err();
        assert!(error.contains(expected), "{error}, expected {expected}");
    }
}

#[test]
fn refuses_other_kinds_and_names() {
    use EntryType::{Block, Char, Directory, Fifo, GNUSparse, Regular, XHeader};
    let cases: [(&[Entry<'_>], &str); 8] = [
        (&[(Block, "sda", "")], r#"entry "sda" is a device"#),
        (&[(Char, "null", "")], "is a device"),
        (&[(Fifo, "pipe", "")], "is a named pipe"),
        (&[(GNUSparse, "holes", "")], "is a sparse file"),
        (&[(XHeader, "x", "26 GNU.sparse.realsize=99\n"), (Regular, "f", "")], "is a sparse file"),
        (&[(XHeader, "x", "9 size=9\n"), (Regular, "f", "")], "an entry with a second size"),
        (&[(Directory, "d", ""), (Regular, "d", "x")], "cannot be that of a file"),
        (&[(Regular, "", "x")], "cannot be that of a file"),
    ];
    for (items, expected) in cases {
        let (_folder, result) = unpacked(&archive(items), &SOURCE_LIMITS);
        let error = result.unwrap_err();
        assert!(error.contains(expected), "{error}, expected {expected}");
    }
}

#[test]
fn refuses_more_than_the_limits_allow() {
    let limits = Limits { entries: 3, unpacked_bytes: 20_000, file_bytes: 5000, links_outside: false };
    let text = "x".repeat(4000);
    let (_folder, fine) = unpacked(&archive(&[(EntryType::Regular, "a/f", &text)]), &limits);
    assert_eq!(fine, Ok(()));
    let four: Vec<_> = ["a", "b", "c", "d"].map(|name| (EntryType::Regular, name, "")).into();
    let deep = [(EntryType::Regular, "a/b/c/d", "")];
    let many: Vec<_> = ["a", "a", "a"].map(|name| (EntryType::Regular, name, text.as_str())).into();
    let bomb = "0".repeat(30_000);
    let large = "x".repeat(5001);
    let name = "n".repeat(70_000);
    for (items, expected) in [
        (&four[..], "more than 3 files, folders and links"),
        (&deep[..], "more than 3 files, folders and links"),
        (&[(EntryType::Regular, "f", &large)], r#"file "f" has 5001 bytes, expected at most 5000"#),
        (&[(EntryType::XGlobalHeader, "g", &bomb)], "more than 20000 bytes after decompression"),
        (&[(EntryType::GNULongName, "l", &name)], "more than 65536 bytes in the name of an entry"),
    ] {
        let (_folder, result) = unpacked(&archive(items), &limits);
        let error = result.unwrap_err();
        assert!(error.contains(expected), "{error}, expected {expected}");
    }
    // Three files of 4000 bytes fit; their copies do not.
    let (_folder, fine) = unpacked(&archive(&many), &limits);
    assert_eq!(fine, Ok(()));
    let limits = Limits { entries: 30, ..limits };
    let mut copies = vec![(EntryType::Regular, "f", text.as_str())];
    copies.extend(["1", "2", "3", "4", "5", "6"].map(|name| (EntryType::Link, name, "f")));
    let error = unpacked(&archive(&copies), &limits).1.unwrap_err();
    assert!(error.contains("more than 20000 bytes"), "{error}");
}

#[test]
fn refuses_what_is_damaged_or_no_archive() {
    let whole = archive(&[(EntryType::Regular, "a", "x"), (EntryType::Regular, "b", "y")]);
    for (bytes, expected) in [
        (&b"<!DOCTYPE html>"[..], "it is not a gzip file, it begins with \"<!DOCTYPE html>\""),
        (b"", "it is not a gzip file"),
        (&whole[..whole.len() - 4], "it is damaged or incomplete"),
        (&whole[..40], "it is damaged or incomplete"),
    ] {
        let (_folder, result) = unpacked(bytes, &SOURCE_LIMITS);
        let error = result.unwrap_err();
        assert!(error.contains(expected), "{error}, expected {expected}");
    }
}

#[test]
fn writes_through_no_link_that_was_there_before() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["root", "elsewhere"] {
        fs::create_dir(folder.path().join(name)).unwrap();
    }
    let root = folder.path().join("root");
    symlink("../elsewhere", root.join("sub")).unwrap();
    symlink("../elsewhere/file", root.join("file")).unwrap();
    let limits = Limits { links_outside: true, ..SOURCE_LIMITS };
    unpack(&archive(&[(EntryType::Regular, "file", "new")])[..], &root, &limits).unwrap();
    assert_eq!(fs::read_to_string(root.join("file")).unwrap(), "new");
    assert!(unpack(&archive(&[(EntryType::Regular, "sub/x", "")])[..], &root, &limits).is_err());
    assert_eq!(fs::read_dir(folder.path().join("elsewhere")).unwrap().count(), 0);
}

#[test]
fn packing_is_repeatable_and_unpacks_to_the_same_files() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("from");
    let deep = format!("{}/{}", "d".repeat(150), "f".repeat(150));
    fs::create_dir_all(root.join(&deep).parent().unwrap()).unwrap();
    fs::create_dir(root.join("empty")).unwrap();
    for (name, text) in [("a.tf", "a"), (deep.as_str(), "deep"), ("run.sh", "#!/bin/sh\n")] {
        fs::write(root.join(name), text).unwrap();
    }
    fs::set_permissions(root.join("run.sh"), fs::Permissions::from_mode(0o700)).unwrap();
    symlink("/outside", root.join("link")).unwrap();
    let paths: Vec<_> = ["a.tf", &deep, "empty", "link", "run.sh"].into_iter().map(Path::new).collect();
    let first = pack(&root, paths.iter().copied(), &folder.path().join("1")).unwrap();
    let second = pack(&root, paths.iter().copied(), &folder.path().join("2")).unwrap();
    assert_eq!((&first.digest, first.size), (&second.digest, second.size));
    let to = folder.path().join("to");
    fs::create_dir(&to).unwrap();
    let limits = Limits { links_outside: true, ..SOURCE_LIMITS };
    unpack(fs::File::open(&first.file).unwrap(), &to, &limits).unwrap();
    assert_eq!(fs::read_to_string(to.join(&deep)).unwrap(), "deep");
    assert_eq!(fs::read_link(to.join("link")).unwrap(), Path::new("/outside"));
    assert_eq!(fs::metadata(to.join("run.sh")).unwrap().permissions().mode() & 0o777, 0o755);
    assert!(to.join("empty").is_dir());
}
