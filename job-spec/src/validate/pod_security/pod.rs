//! The controls on what belongs to a pod as a whole, its volumes among it.

use k8s_openapi::api::core::v1::{PodSpec, PodTemplateSpec, Volume};

use super::Findings;

/// The annotation for the `AppArmor` profile of a container before Kubernetes 1.30, which is still evaluated.
const APP_ARMOR_ANNOTATION: &str = "container.apparmor.security.beta.kubernetes.io/";

/// Parameters of the kernel that a pod has for itself.
const SAFE_SYSCTLS: [&str; 10] = [
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ping_group_range",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_syncookies",
];

impl Findings {
    pub(super) fn annotations(&mut self, template: &PodTemplateSpec) {
        let annotations = template.metadata.iter().flat_map(|metadata| metadata.annotations.iter().flatten());
        for (name, profile) in annotations.filter(|(name, _)| name.starts_with(APP_ARMOR_ANNOTATION)) {
            if profile != "runtime/default" && !profile.starts_with("localhost/") && !profile.is_empty() {
                let field = format!("metadata.annotations[{name}]");
                self.baseline("AppArmor", field, profile, "absent, runtime/default or localhost/*");
            }
        }
    }

    pub(super) fn pod(&mut self, spec: &PodSpec) {
        for (name, value) in
            [("hostNetwork", spec.host_network), ("hostPID", spec.host_pid), ("hostIPC", spec.host_ipc)]
        {
            if value == Some(true) {
                self.baseline("Host Namespaces", format!("spec.{name}"), &true, "absent or false");
            }
        }
        for volume in spec.volumes.iter().flatten() {
            self.volume(volume);
        }
        let Some(context) = &spec.security_context else { return };
        let field = |name: &str| format!("spec.securityContext.{name}");
        if context.windows_options.as_ref().and_then(|options| options.host_process) == Some(true) {
            self.baseline("HostProcess", field("windowsOptions.hostProcess"), &true, "absent or false");
        }
        self.app_armor(field("appArmorProfile.type"), context.app_armor_profile.as_ref());
        self.se_linux(&field("seLinuxOptions"), context.se_linux_options.as_ref());
        self.seccomp(field("seccompProfile.type"), context.seccomp_profile.as_ref());
        for sysctl in context.sysctls.iter().flatten() {
            if !SAFE_SYSCTLS.contains(&sysctl.name.as_str()) {
                self.baseline("Sysctls", field("sysctls"), &sysctl.name, &SAFE_SYSCTLS.join(", "));
            }
        }
        if context.run_as_user == Some(0) {
            self.restricted("Running as Non-root user", field("runAsUser"), &0, "absent or another than 0");
        }
    }

    fn volume(&mut self, volume: &Volume) {
        let field = format!("spec.volumes[{}]", volume.name);
        if let Some(host_path) = &volume.host_path {
            self.baseline("HostPath Volumes", format!("{field}.hostPath"), &host_path.path, "absent");
            return;
        }
        let permitted = volume.config_map.is_some()
            || volume.csi.is_some()
            || volume.downward_api.is_some()
            || volume.empty_dir.is_some()
            || volume.ephemeral.is_some()
            // Since Kubernetes 1.33.
            || volume.image.is_some()
            || volume.persistent_volume_claim.is_some()
            || volume.projected.is_some()
            || volume.secret.is_some();
        if !permitted {
            self.restricted(
                "Volume Types",
                field,
                &"another type",
                "a configMap, csi, downwardAPI, emptyDir, ephemeral, image, persistentVolumeClaim, \
                 projected or secret",
            );
        }
    }
}
