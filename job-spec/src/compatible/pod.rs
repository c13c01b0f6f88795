//! The Job and its pod as Terrakube 2.27 writes them, but for the Job's own metadata.

use config_core::{keys, kubernetes::Rule, platform, workspace};
use k8s_openapi::api::{
    batch::v1::{Job, JobSpec},
    core::v1::{
        ConfigMapVolumeSource, Container, EnvFromSource, EnvVar, PersistentVolumeClaimVolumeSource, PodSpec,
        PodTemplateSpec, SecretEnvSource, Volume, VolumeMount,
    },
};

use super::{job_name, reader::Reader};
use crate::{
    request::Request,
    volumes::{CONFIG_MAP, PLUGIN_CACHE},
};

/// Where a config map is mounted that has no path.
const CONFIG_MAP_PATH: &str = "/tmp";

pub(super) fn job_of(reader: &mut Reader<'_>, request: &Request<'_>) -> Job {
    let (volumes, mounts): (Vec<Volume>, Vec<VolumeMount>) =
        [config_map(reader), plugin_cache(reader)].into_iter().flatten().unzip();
    let of_settings = || {
        let labels = request.settings.node_selector.iter();
        labels.map(|(key, value)| (key.to_string(), value.value.to_string())).collect()
    };
    let is_set = reader.get(workspace::NODE_SELECTOR_TAGS.name()).is_some();
    let node_selector = if is_set { reader.node_selector().unwrap_or_default() } else { of_settings() };
    let account = reader.get(workspace::SERVICE_ACCOUNT.name());
    if let Some(account) = account.filter(|account| !account.is_empty()) {
        reader.expect(workspace::SERVICE_ACCOUNT.name(), account, Rule::DnsSubdomain);
    }
    let pod = PodSpec {
        containers: vec![container(reader, request, mounts)],
        node_selector: (!node_selector.is_empty()).then_some(node_selector),
        restart_policy: Some("Never".to_owned()),
        security_context: Some(reader.pod_security()),
        service_account_name: account.map(str::to_owned),
        tolerations: reader.tolerations(),
        volumes: (!volumes.is_empty()).then_some(volumes),
        ..PodSpec::default()
    };
    let template = PodTemplateSpec { metadata: None, spec: Some(pod) };
    Job { spec: Some(JobSpec { template, ..JobSpec::default() }), ..Job::default() }
}

fn container(reader: &mut Reader<'_>, request: &Request<'_>, mounts: Vec<VolumeMount>) -> Container {
    let entry =
        |name: &str, value: String| EnvVar { name: name.to_owned(), value: Some(value), value_from: None };
    // One name: the list is newer.
    let secret = request.settings.secrets.value.to_string();
    if request.settings.secrets.value.iter().count() > 1 {
        reader.push(
            platform::SECRET.name(),
            format!(
                "{secret:?} is taken as one name (lists are known since version 2.31): no Secret has it, and \
                 the container never starts"
            ),
        );
    }
    let secret_ref = Some(SecretEnvSource { name: secret, optional: None });
    Container {
        env: Some(vec![
            entry(keys::EPHEMERAL_FLAG_BATCH, "true".to_owned()),
            entry(keys::EPHEMERAL_JOB_DATA, request.payload.encode()),
        ]),
        env_from: Some(vec![EnvFromSource { secret_ref, ..EnvFromSource::default() }]),
        image: Some(request.settings.image.value.to_string()),
        name: job_name(request),
        resources: reader.resources(),
        security_context: Some(reader.container_security()),
        volume_mounts: (!mounts.is_empty()).then_some(mounts),
        ..Container::default()
    }
}

fn config_map(reader: &mut Reader<'_>) -> Option<(Volume, VolumeMount)> {
    let path = reader.get(workspace::CONFIG_MAP_MOUNT_PATH.name());
    let Some(config_map) = reader.get(workspace::CONFIG_MAP_NAME.name()) else {
        if path.is_some() {
            reader.push(
                workspace::CONFIG_MAP_MOUNT_PATH.name(),
                format!("without {} it is silently ignored", workspace::CONFIG_MAP_NAME.name()),
            );
        }
        return None;
    };
    if path.is_none() {
        reader.push(
            workspace::CONFIG_MAP_NAME.name(),
            format!(
                "without {} it is mounted over {CONFIG_MAP_PATH}, where no program can write any more",
                workspace::CONFIG_MAP_MOUNT_PATH.name()
            ),
        );
    }
    let name = CONFIG_MAP;
    let source = ConfigMapVolumeSource { name: config_map.to_owned(), ..ConfigMapVolumeSource::default() };
    let volume = Volume { config_map: Some(source), name: name.to_owned(), ..Volume::default() };
    Some((volume, mount(name, path.unwrap_or(CONFIG_MAP_PATH))))
}

fn plugin_cache(reader: &mut Reader<'_>) -> Option<(Volume, VolumeMount)> {
    let claim = reader.get(workspace::PVC_CLAIM_NAME.name());
    let Some(folder) = reader.get(workspace::TF_PLUGIN_CACHE_DIR.name()) else {
        if claim.is_some() {
            reader.push(
                workspace::PVC_CLAIM_NAME.name(),
                format!("without {} it is silently ignored", workspace::TF_PLUGIN_CACHE_DIR.name()),
            );
        }
        return None;
    };
    let claim = claim.unwrap_or(keys::USUAL_PVC_CLAIM_NAME);
    reader.push(
        workspace::TF_PLUGIN_CACHE_DIR.name(),
        format!(
            "the claim {claim:?} is looked for when the Job is made, which the documented role does not \
             allow: then no Job is made, and the job stays pending; where the claim is not found, \
             nothing is mounted"
        ),
    );
    let name = PLUGIN_CACHE;
    let source = PersistentVolumeClaimVolumeSource { claim_name: claim.to_owned(), read_only: None };
    let volume = Volume { name: name.to_owned(), persistent_volume_claim: Some(source), ..Volume::default() };
    Some((volume, mount(name, folder)))
}

fn mount(name: &str, path: &str) -> VolumeMount {
    VolumeMount { mount_path: path.to_owned(), name: name.to_owned(), ..VolumeMount::default() }
}
