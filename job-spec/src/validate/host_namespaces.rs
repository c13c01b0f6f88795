//! Whether a pod with a user namespace of its own shares another namespace with its node, which Kubernetes
//! refuses: <https://kubernetes.io/docs/concepts/workloads/pods/user-namespaces/>.

use config_core::{Origins, Problem, workspace};
use k8s_openapi::api::core::v1::PodSpec;

/// Checks a finished pod; only a patch can set the fields that share namespaces.
pub(super) fn check(spec: &PodSpec, origins: &Origins, problems: &mut Vec<Problem>) {
    if spec.host_users != Some(false) {
        return;
    }
    let fields = [("hostNetwork", spec.host_network), ("hostPID", spec.host_pid), ("hostIPC", spec.host_ipc)];
    for (field, _) in fields.into_iter().filter(|(_, value)| *value == Some(true)) {
        let origin = origins.of(workspace::POD_PATCH.name());
        let expected = "false or no such field, because spec.hostUsers is false";
        problems.push(Problem::new(origin, expected).with_found(&format!("spec.{field}: true")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(spec: serde_json::Value) -> Vec<String> {
        let mut problems = Vec::new();
        check(&serde_json::from_value(spec).unwrap(), &Origins::default(), &mut problems);
        problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn rejects_host_namespaces_beside_a_user_namespace() {
        let spec = |users: Option<bool>| {
            serde_json::json!({
                "containers": [], "hostUsers": users, "hostNetwork": true, "hostPID": true, "hostIPC": false,
            })
        };
        assert_eq!(messages(spec(None)), [""; 0]);
        assert_eq!(messages(spec(Some(true))), [""; 0]);
        assert_eq!(
            messages(spec(Some(false))),
            ["hostNetwork", "hostPID"].map(|field| format!(
                "workspace variable EPHEMERAL_CONFIG_POD_PATCH: found \"spec.{field}: true\", expected false \
                 or no such field, because spec.hostUsers is false"
            ))
        );
    }
}
