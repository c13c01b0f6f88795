//! A server of releases on the loopback interface, with real zip files and checksum files.

use std::{
    collections::BTreeMap,
    io::{Cursor, Write as _},
    path::Path,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, Uri},
    response::{IntoResponse as _, Response},
};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

use super::{engine, find, server::digest};

/// The files of the server, by path, and the paths that were requested.
#[derive(Debug, Default)]
struct Files {
    by_path: BTreeMap<String, Vec<u8>>,
    requests: Vec<String>,
}

/// A server of releases of the program under test.
#[derive(Clone)]
pub(crate) struct Releases {
    files: Arc<Mutex<Files>>,
    pub(crate) address: String,
}

/// Returns a program that prints its release and then is the program under test.
pub(crate) fn program(version: &str) -> Vec<u8> {
    let real = find(engine()).unwrap();
    format!(
        "#!/bin/sh\n[ \"$1\" = version ] || echo \"release {version} runs\"\nexec {} \"$@\"\n",
        real.display()
    )
    .into_bytes()
}

/// Returns a zip file with these entries.
pub(crate) fn zip(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in entries {
        // A large program is stored as it is: compressing it takes a minute without optimization.
        let method =
            if content.len() > 1024 * 1024 { CompressionMethod::Stored } else { CompressionMethod::Deflated };
        zip.start_file(
            *name,
            SimpleFileOptions::default().compression_method(method).unix_permissions(0o755),
        )
        .unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// The platform in the names of releases.
fn platform() -> String {
    let arch = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    format!("linux_{arch}")
}

pub(crate) fn archive_name(version: &str) -> String {
    format!("{}_{version}_{}.zip", engine(), platform())
}

pub(crate) fn checksums_name(version: &str) -> String {
    format!("{}_{version}_SHA256SUMS", engine())
}

impl Releases {
    pub(crate) async fn start() -> Self {
        async fn answer(State(files): State<Arc<Mutex<Files>>>, uri: Uri) -> Response {
            let mut files = files.lock().unwrap();
            files.requests.push(uri.path().to_owned());
            let Some(content) = files.by_path.get(uri.path()).cloned() else {
                return StatusCode::NOT_FOUND.into_response();
            };
            let is_json = uri.path().strip_suffix(".json").is_some();
            let kind = if is_json { "application/json" } else { "application/octet-stream" };
            ([("content-type", kind)], content).into_response()
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let files = Arc::<Mutex<Files>>::default();
        let app = Router::new().fallback(answer).with_state(Arc::clone(&files));
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { files, address }
    }

    /// The value of the setting that names the list.
    pub(crate) fn index(&self) -> String {
        format!("{}/releases/index.json", self.address)
    }

    pub(crate) fn put(&self, path: &str, content: impl Into<Vec<u8>>) {
        self.files.lock().unwrap().by_path.insert(path.to_owned(), content.into());
    }

    pub(crate) fn take_requests(&self) -> Vec<String> {
        std::mem::take(&mut self.files.lock().unwrap().requests)
    }

    /// Adds the files of a release whose zip file has these entries.
    pub(crate) fn add_with(&self, version: &str, entries: &[(&str, &[u8])]) {
        let archive = zip(entries);
        let digest = digest(&archive);
        self.put(&format!("/releases/{version}/{}", archive_name(version)), archive);
        let checksums = format!("{}  other.zip\n{digest}  {}\n", "0".repeat(64), archive_name(version));
        self.put(&format!("/releases/{version}/{}", checksums_name(version)), checksums);
    }

    /// Adds a release and lists all.
    pub(crate) fn add(&self, version: &str) {
        let program = program(version);
        self.add_with(version, &[("LICENSE.txt", b"text"), (engine(), &program), ("../../escaped", b"x")]);
        self.list();
    }

    /// Writes the list of all releases, in the format of the project of the program under test.
    pub(crate) fn list(&self) {
        let folders: Vec<String> = {
            let files = self.files.lock().unwrap();
            let zips = files.by_path.keys().filter(|path| path.strip_suffix(".zip").is_some());
            zips.filter_map(|path| Some(path.strip_prefix("/releases/")?.split_once('/')?.0.to_owned()))
                .collect()
        };
        let url = |version: &str| format!("{}/releases/{version}/{}", self.address, archive_name(version));
        let list = if engine() == "tofu" {
            let release = |version: &String| {
                let asset = json!({ "name": archive_name(version), "browser_download_url": url(version) });
                json!({ "name": format!("v{version}"), "tag_name": format!("v{version}"), "assets": [asset] })
            };
            Value::Array(folders.iter().map(release).collect())
        } else {
            let (os, arch) = ("linux", platform().split_once('_').unwrap().1.to_owned());
            let release = |version: &String| {
                let build =
                    json!({ "os": os, "arch": arch, "filename": archive_name(version), "url": url(version) });
                let entry = json!({ "name": "terraform", "version": version, "builds": [build],
                    "shasums": checksums_name(version), "shasums_signature": format!("{}.sig", checksums_name(version)) });
                (version.clone(), entry)
            };
            json!({ "name": "terraform", "versions": folders.iter().map(release).collect::<serde_json::Map<_, _>>() })
        };
        self.put("/releases/index.json", list.to_string());
    }

    /// Writes all files but the list into a folder, as a mirror without a network has them.
    pub(crate) fn copy_to(&self, folder: &Path) {
        for (path, content) in &self.files.lock().unwrap().by_path {
            let name = path.strip_prefix("/releases/").unwrap();
            if name != "index.json" {
                let to = folder.join(name);
                std::fs::create_dir_all(to.parent().unwrap()).unwrap();
                std::fs::write(to, content).unwrap();
            }
        }
    }
}
