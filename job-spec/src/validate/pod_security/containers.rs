//! The controls on containers, and on what a container takes over from its pod.

use k8s_openapi::api::core::v1::{
    AppArmorProfile, Capabilities, Container, HTTPGetAction, PodSpec, SELinuxOptions, SeccompProfile,
    SecurityContext, TCPSocketAction,
};

use super::Findings;

/// Capabilities that a container runtime gives anyway.
const BASELINE_CAPABILITIES: [&str; 13] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];
const RESTRICTED_CAPABILITY: &str = "NET_BIND_SERVICE";
const SE_LINUX_TYPES: [&str; 5] =
    ["", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"];
const CONFINED: [&str; 2] = ["RuntimeDefault", "Localhost"];

impl Findings {
    pub(super) fn containers(&mut self, spec: &PodSpec) {
        let inits = spec.init_containers.iter().flatten().map(|container| ("initContainers", container));
        let containers = spec.containers.iter().map(|container| ("containers", container));
        for (list, container) in containers.chain(inits) {
            let path = format!("spec.{list}[{}]", container.name);
            self.ports_and_probes(&path, container);
            let context = container.security_context.clone().unwrap_or_default();
            let path = format!("{path}.securityContext");
            self.context(&path, &context);
            self.capabilities(&path, context.capabilities.as_ref());
            self.with_pod(&path, &context, spec);
        }
    }

    fn ports_and_probes(&mut self, path: &str, container: &Container) {
        for port in container.ports.iter().flatten() {
            if let Some(number) = port.host_port.filter(|number| *number != 0) {
                self.baseline("Host Ports", format!("{path}.ports.hostPort"), &number, "absent or 0");
            }
        }
        let probes = [
            ("livenessProbe", &container.liveness_probe),
            ("readinessProbe", &container.readiness_probe),
            ("startupProbe", &container.startup_probe),
        ];
        for (name, probe) in probes {
            let Some(probe) = probe else { continue };
            self.host(&format!("{path}.{name}"), probe.http_get.as_ref(), probe.tcp_socket.as_ref());
        }
        let Some(lifecycle) = &container.lifecycle else { return };
        for (name, hook) in [("postStart", &lifecycle.post_start), ("preStop", &lifecycle.pre_stop)] {
            let Some(hook) = hook else { continue };
            self.host(&format!("{path}.lifecycle.{name}"), hook.http_get.as_ref(), hook.tcp_socket.as_ref());
        }
    }

    fn host(&mut self, path: &str, http: Option<&HTTPGetAction>, tcp: Option<&TCPSocketAction>) {
        for (name, host) in [
            ("httpGet", http.and_then(|action| action.host.as_ref())),
            ("tcpSocket", tcp.and_then(|action| action.host.as_ref())),
        ] {
            if let Some(host) = host.filter(|host| !host.is_empty()) {
                self.baseline("Host Probes / Lifecycle Hooks", format!("{path}.{name}.host"), host, "absent");
            }
        }
    }

    fn context(&mut self, path: &str, context: &SecurityContext) {
        if context.windows_options.as_ref().and_then(|options| options.host_process) == Some(true) {
            self.baseline(
                "HostProcess",
                format!("{path}.windowsOptions.hostProcess"),
                &true,
                "absent or false",
            );
        }
        if context.privileged == Some(true) {
            self.baseline("Privileged Containers", format!("{path}.privileged"), &true, "absent or false");
        }
        if let Some(mount) = context.proc_mount.as_ref().filter(|mount| *mount != "Default") {
            self.baseline("/proc Mount Type", format!("{path}.procMount"), mount, "absent or Default");
        }
        self.app_armor(format!("{path}.appArmorProfile.type"), context.app_armor_profile.as_ref());
        self.se_linux(&format!("{path}.seLinuxOptions"), context.se_linux_options.as_ref());
        self.seccomp(format!("{path}.seccompProfile.type"), context.seccomp_profile.as_ref());
        if context.allow_privilege_escalation != Some(false) {
            let field = format!("{path}.allowPrivilegeEscalation");
            self.restricted(
                "Privilege Escalation",
                field,
                &shown(context.allow_privilege_escalation),
                "false",
            );
        }
        if context.run_as_user == Some(0) {
            let field = format!("{path}.runAsUser");
            self.restricted("Running as Non-root user", field, &0, "absent or another than 0");
        }
    }

    fn capabilities(&mut self, path: &str, capabilities: Option<&Capabilities>) {
        let list = |list: fn(&Capabilities) -> &Option<Vec<String>>| {
            capabilities.and_then(|all| list(all).clone()).unwrap_or_default()
        };
        for added in list(|capabilities| &capabilities.add) {
            let field = format!("{path}.capabilities.add");
            if !BASELINE_CAPABILITIES.contains(&added.as_str()) {
                self.baseline("Capabilities", field, &added, &BASELINE_CAPABILITIES.join(", "));
            } else if added != RESTRICTED_CAPABILITY {
                self.restricted("Capabilities", field, &added, RESTRICTED_CAPABILITY);
            }
        }
        let dropped = list(|capabilities| &capabilities.drop);
        if !dropped.iter().any(|name| name == "ALL") {
            let found = if dropped.is_empty() { "nothing".to_owned() } else { dropped.join(", ") };
            self.restricted("Capabilities", format!("{path}.capabilities.drop"), &found, "ALL");
        }
    }

    /// What a container does not say itself, its pod must say.
    fn with_pod(&mut self, path: &str, context: &SecurityContext, spec: &PodSpec) {
        let pod = spec.security_context.as_ref();
        let non_root = context.run_as_non_root.or_else(|| pod?.run_as_non_root);
        if non_root != Some(true) {
            let place = if context.run_as_non_root.is_some() { path } else { "spec.securityContext" };
            self.once("Running as Non-root", format!("{place}.runAsNonRoot"), &shown(non_root), "true");
        }
        if context.seccomp_profile.is_none() && pod.is_none_or(|pod| pod.seccomp_profile.is_none()) {
            let field = "spec.securityContext.seccompProfile.type".to_owned();
            self.once("Seccomp", field, "nothing", &CONFINED.join(" or "));
        }
    }

    /// Several containers may miss one field of their pod.
    fn once(&mut self, control: &'static str, field: String, found: &str, permitted: &str) {
        if !self.violations.iter().any(|violation| violation.field == field) {
            self.restricted(control, field, &found, permitted);
        }
    }

    pub(super) fn app_armor(&mut self, field: String, profile: Option<&AppArmorProfile>) {
        if let Some(profile) = profile.filter(|profile| !CONFINED.contains(&profile.type_.as_str())) {
            self.baseline("AppArmor", field, &profile.type_, &CONFINED.join(" or "));
        }
    }

    pub(super) fn seccomp(&mut self, field: String, profile: Option<&SeccompProfile>) {
        if let Some(profile) = profile.filter(|profile| !CONFINED.contains(&profile.type_.as_str())) {
            self.baseline("Seccomp", field, &profile.type_, &CONFINED.join(" or "));
        }
    }

    pub(super) fn se_linux(&mut self, path: &str, options: Option<&SELinuxOptions>) {
        let Some(SELinuxOptions { level: _, role, type_, user }) = options else { return };
        for (name, value) in [("role", role), ("user", user)] {
            if let Some(value) = value.as_ref().filter(|value| !value.is_empty()) {
                self.baseline("SELinux", format!("{path}.{name}"), value, "absent");
            }
        }
        if let Some(type_) = type_.as_ref().filter(|name| !SE_LINUX_TYPES.contains(&name.as_str())) {
            let permitted = format!("absent, {}", SE_LINUX_TYPES[1..].join(", "));
            self.baseline("SELinux", format!("{path}.type"), type_, &permitted);
        }
    }
}

fn shown(value: Option<bool>) -> String {
    value.map_or_else(|| "nothing".to_owned(), |value| value.to_string())
}
