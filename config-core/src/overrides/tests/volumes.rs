//! What the workspace mounts, and where.

use super::*;
use crate::PluginCache;

#[test]
fn mounts_config_map_at_default_path() {
    let config_map = parse(&[("EPHEMERAL_CONFIG_MAP_NAME", "extra")]).unwrap().config_map().unwrap();
    assert_eq!(config_map.mount_path, "/data");
}

#[test]
fn rejects_relative_mount_path() {
    for path in ["data", "", "/", "/a/../b", "/a:b"] {
        let problems =
            parse(&[("EPHEMERAL_CONFIG_MAP_NAME", "a"), ("EPHEMERAL_CONFIG_MAP_MOUNT_PATH", path)])
                .unwrap_err();
        assert_eq!(
            problems,
            [format!(
                "workspace variable EPHEMERAL_CONFIG_MAP_MOUNT_PATH: found {path:?}, expected {}",
                Rule::MountPath.expected()
            )]
        );
    }
}

#[test]
fn plugin_cache_needs_folder_and_claim() {
    let both = [("TF_PLUGIN_CACHE_DIR", "/plugin-cache"), ("PVC_CLAIM_NAME", " terrakube-plugin-pvc ")];
    let expected = PluginCache {
        claim: "terrakube-plugin-pvc".parse().unwrap(),
        mount_path: "/plugin-cache".parse().unwrap(),
    };
    assert_eq!(parse(&both).unwrap().plugin_cache(), Some(expected));
    for alone in both {
        assert_eq!(parse(&[alone]).unwrap().plugin_cache(), None);
    }
    // Without a claim the folder is only passed to terraform.
    assert_eq!(parse(&[("TF_PLUGIN_CACHE_DIR", "~/cache")]).unwrap().plugin_cache(), None);
}

#[test]
fn rejects_invalid_folder_and_claim_of_plugin_cache() {
    assert_eq!(
        parse(&[("TF_PLUGIN_CACHE_DIR", " /cache"), ("PVC_CLAIM_NAME", "My_Claim")]).unwrap_err(),
        [
            format!(
                "workspace variable PVC_CLAIM_NAME: found \"My_Claim\", expected {}",
                Rule::DnsSubdomain.expected()
            ),
            format!(
                "workspace variable TF_PLUGIN_CACHE_DIR: found \" /cache\", expected {}",
                Rule::MountPath.expected()
            ),
        ]
    );
    assert_eq!(
        parse(&[("TF_PLUGIN_CACHE_DIR", "/cache"), ("PVC_CLAIM_NAME", "")]).unwrap_err(),
        [format!(
            "workspace variable PVC_CLAIM_NAME: found \"\", expected {}; remove it to mount no claim",
            Rule::DnsSubdomain.expected()
        )]
    );
}
