//! Tests of what becomes of packages: archives made here stand for Debian's.

use tar::{Builder, Header};

use super::*;

/// An archive of entries: path, kind, mode, and what it links to or holds.
fn archive(entries: &[(&str, EntryType, u32, &str)]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for (path, kind, mode, text) in entries {
        let mut header = Header::new_gnu();
        header.set_entry_type(*kind);
        header.set_mode(*mode);
        header.set_uid(33);
        header.set_gid(42);
        header.set_size(0);
        if matches!(kind, EntryType::Symlink | EntryType::Link) {
            builder.append_link(&mut header, path, text).unwrap();
        } else {
            header.set_size(text.len() as u64);
            builder.append_data(&mut header, path, text.as_bytes()).unwrap();
        }
    }
    builder.into_inner().unwrap()
}

fn tree(entries: &[(&str, EntryType, u32, &str)]) -> anyhow::Result<Tree> {
    let mut tree = Tree::default();
    add_files(archive(entries).as_slice(), &mut tree)?;
    Ok(tree)
}

#[test]
fn files_of_packages_belong_to_root_and_lend_nobody_rights() {
    let tree = tree(&[
        ("./usr/bin/ssh-agent", EntryType::Regular, 0o2755, "x"),
        ("./usr/lib/ssh-keysign", EntryType::Regular, 0o4755, "x"),
        ("./var/local", EntryType::Directory, 0o2775, ""),
        ("./etc/open", EntryType::Regular, 0o666, "x"),
    ])
    .unwrap();
    for (path, mode) in [
        ("usr/bin/ssh-agent", 0o755),
        ("usr/lib/ssh-keysign", 0o755),
        ("var/local", 0o755),
        ("etc/open", 0o644),
    ] {
        let node = tree.get(path).unwrap();
        assert_eq!((node.mode, node.user, node.group), (mode, 0, 0), "{path}");
    }
}

#[test]
fn what_only_people_read_is_left_out_and_licences_stay() {
    let files = [
        "usr/share/man/man1/git.1.gz",
        "usr/share/doc/git/README",
        "usr/share/doc/git/copyright",
        "usr/lib/x86_64-linux-gnu/gconv/IBM1.so",
        "usr/lib/git-core/git-daemon",
        "usr/lib/git-core/git-remote-http",
    ];
    let tree = tree(&files.map(|path| (path, EntryType::Regular, 0o644, "x"))).unwrap();
    let kept: Vec<_> = files.into_iter().filter(|path| tree.get(path).is_some()).collect();
    assert_eq!(kept, ["usr/share/doc/git/copyright", "usr/lib/git-core/git-remote-http"]);
}

#[test]
fn links_are_kept_and_devices_are_refused() {
    let tree_of_links = tree(&[
        ("./bin/dash", EntryType::Regular, 0o755, "x"),
        ("./bin/sh", EntryType::Symlink, 0o777, "dash"),
        ("./bin/dash2", EntryType::Link, 0o755, "./bin/dash"),
    ])
    .unwrap();
    assert_eq!(tree_of_links.get("usr/bin/sh").unwrap().kind, Kind::Symlink("dash".to_owned()));
    assert_eq!(tree_of_links.get("usr/bin/dash2").unwrap().kind, Kind::SameAs("usr/bin/dash".to_owned()));
    let refused = tree(&[("./dev/null", EntryType::Char, 0o666, "")]).unwrap_err().to_string();
    assert_eq!(refused, "\"dev/null\" is an entry of kind Char, expected a file, a folder or a link");
}

#[test]
fn a_real_package_is_unpacked_and_listed_for_scanners() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("source");
    fs::create_dir_all(source.join("DEBIAN")).unwrap();
    fs::create_dir_all(source.join("usr/bin")).unwrap();
    let control = "Package: sample\nVersion: 1.2-3\nArchitecture: all\nMaintainer: me <me@example.com>\nDescription: sample\n";
    fs::write(source.join("DEBIAN/control"), control).unwrap();
    fs::write(source.join("usr/bin/sample"), "bytes").unwrap();
    let file = folder.path().join("sample.deb");
    let build = Command::new("dpkg-deb").arg("--build").arg(&source).arg(&file).output();
    let Ok(build) = build else {
        eprintln!("SKIPPED: dpkg-deb is not on PATH");
        return;
    };
    assert!(build.status.success(), "{build:?}");
    let mut tree = Tree::default();
    unpack_one(&file, &mut tree).unwrap();
    assert_eq!(tree.get("usr/bin/sample").unwrap().kind, Kind::File(Content::Bytes(b"bytes".to_vec())));
    let Kind::File(Content::Bytes(list)) = &tree.get("var/lib/dpkg/status.d/sample").unwrap().kind else {
        panic!("the list of packages is a file");
    };
    let list = String::from_utf8_lossy(list);
    assert!(list.contains("Version: 1.2-3\n") && list.ends_with("Status: install ok installed\n"), "{list}");
}

#[test]
fn a_file_that_is_no_package_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("broken.deb");
    fs::write(&file, "no package").unwrap();
    unpack_one(&file, &mut Tree::default()).unwrap_err();
}

#[test]
fn apt_is_told_of_the_architecture_and_of_an_own_list_of_packages() {
    let options = apt_options(Path::new("/x"), Architecture::Arm64);
    for option in ["-o=Dir::State::status=/x/status", "-o=APT::Architectures=arm64", "--download-only"] {
        assert!(options.iter().any(|found| found == option), "{option}");
    }
    assert_eq!(options.last().unwrap(), "install");
    let status = pretended_status(Architecture::Arm64);
    assert!(status.contains("Package: perl\nStatus: install ok installed\n"), "{status}");
}

#[test]
fn a_name_that_apt_could_take_for_an_option_is_refused() {
    for name in ["", "-o=x", "Git", "git curl", "git/stable", "git=1"] {
        assert!(name.parse::<PackageName>().is_err(), "{name:?}");
    }
    assert_eq!("libstdc++6".parse::<PackageName>().unwrap().as_str(), "libstdc++6");
}
