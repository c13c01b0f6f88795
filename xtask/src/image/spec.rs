//! The documents of an image: configuration, manifest, index, and the list that older tools read.
//!
//! Pure. Rules: the [image format](https://github.com/opencontainers/image-spec/blob/v1.1.0/spec.md), and for the last
//! one the [Docker image specification](https://github.com/moby/docker-image-spec/blob/v1.3.1/spec.md#combined-image-json--filesystem-changeset-format).

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{architecture::Architecture, layer::Layer, name::Name};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// How a container of the image starts, and what the image says about itself.
#[derive(Debug)]
pub(super) struct Settings {
    /// User and group as numbers: with `runAsNonRoot` a kubelet must see that it is not root.
    pub(super) user: String,
    pub(super) entry_point: Vec<String>,
    /// Arguments, unless others are given.
    pub(super) arguments: Vec<String>,
    pub(super) environment: Vec<String>,
    pub(super) working_folder: String,
    /// `8080/tcp`, for people: it opens nothing.
    pub(super) ports: Vec<String>,
    pub(super) labels: BTreeMap<String, String>,
}

/// The configuration; its digest is the image's id.
pub(super) fn config(
    settings: &Settings,
    layers: &[Layer],
    architecture: Architecture,
    created: &str,
) -> Vec<u8> {
    let ports: BTreeMap<_, _> = settings.ports.iter().map(|port| (port, json!({}))).collect();
    let history = layers.iter().map(|layer| json!({"created": created, "created_by": layer.title}));
    bytes(&json!({
        "created": created,
        "architecture": architecture.name(),
        "os": "linux",
        "config": {
            "User": settings.user,
            "Entrypoint": settings.entry_point,
            "Cmd": settings.arguments,
            "Env": settings.environment,
            "WorkingDir": settings.working_folder,
            "ExposedPorts": ports,
            "Labels": settings.labels,
        },
        "rootfs": {
            "type": "layers",
            "diff_ids": layers.iter().map(|layer| &layer.diff_id).collect::<Vec<_>>(),
        },
        "history": history.collect::<Vec<_>>(),
    }))
}

/// The manifest, which names the configuration and the layers.
pub(super) fn manifest(config: (&str, usize), layers: &[Layer], settings: &Settings) -> Vec<u8> {
    let (digest, size) = config;
    let layers =
        layers.iter().map(|layer| json!({"mediaType": LAYER, "digest": layer.digest, "size": layer.size}));
    bytes(&json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": CONFIG, "digest": digest, "size": size},
        "layers": layers.collect::<Vec<_>>(),
        "annotations": settings.labels,
    }))
}

/// The index of an archive with this one image.
///
/// containerd (and so `ctr` and newer versions of Docker and podman) takes the name from the first annotation; the second
/// one is that of the specification.
pub(super) fn index(manifest: (&str, usize), architecture: Architecture, name: &Name) -> Vec<u8> {
    let (digest, size) = manifest;
    bytes(&json!({
        "schemaVersion": 2,
        "mediaType": INDEX,
        "manifests": [{
            "mediaType": MANIFEST,
            "digest": digest,
            "size": size,
            "platform": {"architecture": architecture.name(), "os": "linux"},
            "annotations": {
                "io.containerd.image.name": name.full(),
                "org.opencontainers.image.ref.name": name.tag().to_string(),
            },
        }],
    }))
}

/// The file that says that an archive is an image layout.
pub(super) fn layout() -> Vec<u8> {
    bytes(&json!({"imageLayoutVersion": "1.0.0"}))
}

/// `manifest.json`, which older versions of `docker load` read in place of the index.
pub(super) fn docker_manifest(config_digest: &str, layers: &[Layer], name: &Name) -> Vec<u8> {
    bytes(&json!([{
        "Config": blob_path(config_digest),
        "RepoTags": [name.to_string()],
        "Layers": layers.iter().map(|layer| blob_path(&layer.digest)).collect::<Vec<_>>(),
    }]))
}

/// Where the bytes with a digest lie in an archive.
pub(super) fn blob_path(digest: &str) -> String {
    format!("blobs/{}", digest.replace(':', "/"))
}

/// Maps of `serde_json` are sorted, so the same document is the same bytes.
fn bytes(document: &Value) -> Vec<u8> {
    document.to_string().into_bytes()
}
