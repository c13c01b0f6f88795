//! Whole images from small stand-ins, read back as somebody who loads them would.

use std::{collections::BTreeMap, io::Read as _, process::Command};

use serde_json::Value;

use super::*;
use crate::image::{
    layer::digest_of,
    tree::{Kind, Node},
};

const TIME: u64 = 1_700_000_000;

/// One image in a folder of its own.
struct Made {
    folder: tempfile::TempDir,
    written: archive::Written,
}

fn order(engine: Option<Engine>) -> Order {
    let about = About {
        version: "1.2.3".into(),
        revision: Some("abc".into()),
        created: "2023-11-14T22:13:20Z".into(),
    };
    Order {
        architecture: Architecture::Amd64,
        time: TIME,
        about,
        engine,
        extra_certificates: "extra\n".into(),
    }
}

fn packages() -> Tree {
    let mut tree = Tree::default();
    tree.file("usr/share/ca-certificates/mozilla/b.crt", 0o644, "second\n").unwrap();
    tree.file("usr/share/ca-certificates/mozilla/a.crt", 0o644, "first\n\n").unwrap();
    tree.file("usr/share/doc/ca-certificates/copyright", 0o644, "free").unwrap();
    tree.file("bin/dash", 0o755, "shell").unwrap();
    tree.put("bin/sh", Node::of_root(Kind::Symlink("dash".into()), 0o777)).unwrap();
    tree.link_merged_folders();
    tree
}

fn make(program: Program) -> Made {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("program");
    fs::write(&file, stand_in::program(elf::abi::EM_X86_64, true)).unwrap();
    let engine = Engine { name: "tofu", version: Some("1.11.0".into()), path: file.clone() };
    let order = order(Some(engine));
    let environment = Environment {
        root: folder.path().to_owned(),
        search_path: None,
        ui: crate::ui::Ui::plain(),
        interrupt: crate::interrupt::Interrupt::never(),
    };
    let system = match program {
        Program::Executor => contents::executor_system(packages(), &order.extra_certificates),
        Program::ApiServer => contents::api_server_system(packages(), &order.extra_certificates),
    };
    let layers = layers(&environment, &order, program, system.unwrap(), &file, folder.path()).unwrap();
    let name = Name::new("example.com/team".parse().unwrap(), program.name(), "v1".parse().unwrap());
    let image = image(&order, program, name, layers);
    let written = archive::write(&image, &folder.path().join("image.tar")).unwrap();
    Made { folder, written }
}

impl Made {
    fn bytes(&self) -> Vec<u8> {
        fs::read(self.folder.path().join("image.tar")).unwrap()
    }

    /// Files of the archive by path.
    fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::new();
        for entry in tar::Archive::new(self.bytes().as_slice()).entries().unwrap() {
            let mut entry = entry.unwrap();
            let path = entry.path().unwrap().to_str().unwrap().to_owned();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            if !path.ends_with('/') {
                files.insert(path, bytes);
            }
        }
        files
    }
}

/// Follows a descriptor: the bytes must be as long as it says and have its digest.
fn follow<'a>(files: &'a BTreeMap<String, Vec<u8>>, descriptor: &Value) -> &'a [u8] {
    let digest = descriptor["digest"].as_str().unwrap();
    let bytes = &files[&spec::blob_path(digest)];
    assert_eq!(digest_of(bytes), digest);
    assert_eq!(descriptor["size"], bytes.len());
    bytes
}

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

/// What a layer holds: path, mode, user, group, and whether it is a link (whose mode means nothing).
struct Entry {
    mode: u32,
    owner: (u64, u64),
    is_link: bool,
    bytes: Vec<u8>,
}

/// All files of an image, upper layers over lower ones. Checks digests on the way.
fn root(files: &BTreeMap<String, Vec<u8>>) -> (Value, BTreeMap<String, Entry>) {
    let index = json(&files["index.json"]);
    let manifest = json(follow(files, &index["manifests"][0]));
    let config = json(follow(files, &manifest["config"]));
    let mut root = BTreeMap::new();
    let layers = manifest["layers"].as_array().unwrap();
    assert_eq!(config["rootfs"]["diff_ids"].as_array().unwrap().len(), layers.len());
    for (layer, diff_id) in layers.iter().zip(config["rootfs"]["diff_ids"].as_array().unwrap()) {
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(follow(files, layer)).read_to_end(&mut plain).unwrap();
        assert_eq!(digest_of(&plain), diff_id.as_str().unwrap());
        for entry in tar::Archive::new(plain.as_slice()).entries().unwrap() {
            let mut entry = entry.unwrap();
            let path = entry.path().unwrap().to_str().unwrap().trim_end_matches('/').to_owned();
            let header = entry.header();
            assert_eq!(header.mtime().unwrap(), TIME, "{path}");
            let (mode, is_link) = (header.mode().unwrap(), header.entry_type().is_symlink());
            let owner = (header.uid().unwrap(), header.gid().unwrap());
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            root.insert(path, Entry { mode, owner, is_link, bytes });
        }
    }
    (config, root)
}

#[test]
fn every_digest_fits_and_every_blob_is_used() {
    for program in [Program::ApiServer, Program::Executor] {
        let made = make(program);
        let files = made.files();
        assert_eq!(json(&files["oci-layout"])["imageLayoutVersion"], "1.0.0");
        let index = json(&files["index.json"]);
        assert_eq!(index["manifests"][0]["digest"], made.written.digest.as_str());
        let manifest = json(follow(&files, &index["manifests"][0]));
        let (_, root) = root(&files);
        assert!(!root.is_empty());
        let layers = manifest["layers"].as_array().unwrap().len();
        let blobs = files.keys().filter(|path| path.starts_with("blobs/sha256/")).count();
        assert_eq!(blobs, layers + 2, "layers, configuration and manifest");
        assert_eq!(made.written.size, made.bytes().len() as u64);
    }
}

#[test]
fn older_and_newer_tools_find_the_same_image_under_the_same_name() {
    let files = make(Program::Executor).files();
    let index = json(&files["index.json"]);
    let annotations = &index["manifests"][0]["annotations"];
    assert_eq!(annotations["io.containerd.image.name"], "example.com/team/executor:v1");
    assert_eq!(annotations["org.opencontainers.image.ref.name"], "v1");
    let manifest = json(follow(&files, &index["manifests"][0]));
    let docker = json(&files["manifest.json"]);
    assert_eq!(docker[0]["RepoTags"], serde_json::json!(["example.com/team/executor:v1"]));
    let path = |descriptor: &Value| Value::from(spec::blob_path(descriptor["digest"].as_str().unwrap()));
    assert_eq!(docker[0]["Config"], path(&manifest["config"]));
    let layers: Vec<_> = manifest["layers"].as_array().unwrap().iter().map(path).collect();
    assert_eq!(docker[0]["Layers"], Value::from(layers));
}

#[test]
fn the_same_inputs_give_the_same_bytes() {
    assert_eq!(make(Program::Executor).bytes(), make(Program::Executor).bytes());
}

#[test]
fn only_folders_for_temporary_files_are_open_and_only_own_folders_are_not_roots() {
    for (program, own) in
        [(Program::ApiServer, vec!["data", "home/cnb"]), (Program::Executor, vec!["home/cnb"])]
    {
        let (_, root) = root(&make(program).files());
        let open: Vec<_> =
            root.iter().filter(|(_, entry)| !entry.is_link && entry.mode & 0o022 != 0).collect();
        assert!(open.iter().all(|(path, entry)| path.ends_with("tmp") && entry.mode == 0o1777));
        assert!(root.contains_key("tmp"));
        assert!(root.values().all(|entry| entry.mode & 0o6000 == 0), "no program lends rights");
        let not_of_root: Vec<_> = root.iter().filter(|(_, entry)| entry.owner != (0, 0)).collect();
        assert!(not_of_root.iter().all(|(_, entry)| entry.owner == (1002, 1000)));
        assert_eq!(not_of_root.iter().map(|(path, _)| path.as_str()).collect::<Vec<_>>(), own);
    }
}

#[test]
fn the_executor_image_has_its_programs_and_starts_as_the_user_of_pods() {
    let (config, root) = root(&make(Program::Executor).files());
    for path in ["usr/local/bin/executor", "usr/local/bin/tofu", "usr/bin/dash"] {
        assert_eq!(root[path].mode, 0o755, "{path}");
    }
    assert!(root["bin"].is_link);
    let config = &config["config"];
    assert_eq!(config["User"], "1002:1000");
    assert_eq!(config["Entrypoint"][0], "/usr/local/bin/executor");
    assert_eq!(config["Labels"]["ephemeral-agents.dev/engine"], "tofu 1.11.0");
    assert_eq!(config["Labels"]["org.opencontainers.image.revision"], "abc");
    let passwd = String::from_utf8_lossy(&root["etc/passwd"].bytes);
    assert!(passwd.contains("cnb:x:1002:1000::/home/cnb:"), "{passwd}");
}

#[test]
fn the_api_server_image_has_one_program_and_nothing_of_the_packages_but_certificates() {
    let (config, root) = root(&make(Program::ApiServer).files());
    let programs: Vec<_> =
        root.iter().filter(|(_, entry)| !entry.bytes.is_empty() && entry.mode & 0o111 != 0).collect();
    assert_eq!(
        programs.iter().map(|(path, _)| path.as_str()).collect::<Vec<_>>(),
        ["usr/local/bin/api-server"]
    );
    assert!(!root.contains_key("bin") && !root.contains_key("usr/local/bin/tofu"));
    assert!(root.contains_key("usr/share/doc/ca-certificates/copyright"));
    assert_eq!(config["config"]["Cmd"][0], "serve");
}

#[test]
fn all_certificates_are_one_file_with_those_that_were_given() {
    for program in [Program::ApiServer, Program::Executor] {
        let (_, root) = root(&make(program).files());
        let certificates = &root["etc/ssl/certs/ca-certificates.crt"].bytes;
        assert_eq!(String::from_utf8_lossy(certificates), "first\nsecond\nextra\n");
        assert!(!root.keys().any(|path| path.starts_with("usr/share/ca-certificates")));
    }
    contents::api_server_system(Tree::default(), "").unwrap_err();
}

#[test]
fn an_independent_tool_reads_the_archive_in_both_formats() {
    let made = make(Program::Executor);
    let archive = made.folder.path().join("image.tar");
    for format in ["oci-archive", "docker-archive"] {
        let source = format!("{format}:{}", archive.display());
        let Ok(output) = Command::new("skopeo").args(["inspect", &source]).output() else {
            eprintln!("SKIPPED: skopeo is not on PATH");
            return;
        };
        assert!(output.status.success(), "{output:?}");
        let answer = json(&output.stdout);
        assert_eq!(answer["Architecture"], "amd64", "{format}");
        assert_eq!(answer["Labels"]["org.opencontainers.image.version"], "1.2.3", "{format}");
    }
}

#[test]
fn what_cannot_work_is_refused_before_anything_is_built() {
    use clap::Parser as _;
    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }
    let folder = tempfile::tempdir().unwrap();
    let environment = Environment {
        root: folder.path().to_owned(),
        search_path: None,
        ui: crate::ui::Ui::plain(),
        interrupt: crate::interrupt::Interrupt::never(),
    };
    let refused = |line: &[&str]| {
        let line = Line::try_parse_from([&["image"], line].concat()).unwrap();
        run(&environment, &line.args).unwrap_err().to_string()
    };
    assert_eq!(refused(&["--push"]), "--push needs a registry in --repository (registry.example.com/team)");
    let no_tool = refused(&["--push", "--repository", "r.example.com/t"]);
    assert!(no_tool.starts_with("neither skopeo nor crane is on your PATH"), "{no_tool}");
    let wrong_image = refused(&["api-server", "--package", "jq"]);
    assert!(
        wrong_image.ends_with("are for the image of the executor, which is not asked for"),
        "{wrong_image}"
    );
    let unknown = refused(&["--with-engine", "/nowhere/terraform"]);
    assert_eq!(unknown, "could not find \"/nowhere/terraform\"");
}
