//! The environment variables of the executor; what comes from Secrets and config
//! maps as a whole is in `container.rs`.

use config_core::{
    keys,
    value::{Delivery, EnvVars},
};
use k8s_openapi::api::core::v1::{EnvVar, EnvVarSource, SecretKeySelector};

use crate::{
    AttemptAccess,
    attempt_api::{ATTEMPT_TOKEN_ENV, ATTEMPT_URL_ENV, GRACE_PERIOD_ENV},
    names::JobName,
    plan::PlannedPayload,
};

/// Renders our own variables first, then those of the workspace. With delivery by Secret, payload and token
/// come from the Secret that has the name of the Job. `grace_period` is that of the pod.
pub(super) fn render(
    job: &JobName,
    PlannedPayload { delivery, data }: &PlannedPayload,
    access: Option<&AttemptAccess>,
    grace_period: Option<i64>,
    env_vars: Option<&EnvVars>,
) -> Vec<EnvVar> {
    let secret = |name, value| match delivery {
        Delivery::Secret => from_secret(name, job),
        Delivery::Env | Delivery::Claim => entry(name, value),
    };
    let mut env = vec![entry(keys::EPHEMERAL_FLAG_BATCH, "true")];
    if *delivery != Delivery::Claim {
        env.push(secret(keys::EPHEMERAL_JOB_DATA, data));
    }
    if let Some(access) = access {
        env.push(entry(ATTEMPT_URL_ENV, access.url()));
        env.push(secret(ATTEMPT_TOKEN_ENV, access.expose_token()));
        env.extend(grace_period.map(|seconds| entry(GRACE_PERIOD_ENV, &seconds.to_string())));
    }
    env.extend(env_vars.into_iter().flat_map(EnvVars::iter).map(|(name, value)| entry(name, value)));
    env
}

/// Makes an entry whose value reaches the container as it is: Kubernetes expands `$(NAME)` and reads `$$` as
/// `$`, so every `$` is doubled.
fn entry(name: &str, value: &str) -> EnvVar {
    EnvVar { name: name.to_owned(), value: Some(value.replace('$', "$$")), value_from: None }
}

/// Makes an entry whose value the kubelet reads from a Secret, where nothing is expanded.
fn from_secret(name: &str, secret: &JobName) -> EnvVar {
    let selector =
        SecretKeySelector { key: name.to_owned(), name: secret.as_str().to_owned(), optional: None };
    let source = EnvVarSource { secret_key_ref: Some(selector), ..EnvVarSource::default() };
    EnvVar { name: name.to_owned(), value: None, value_from: Some(source) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_dollar_signs_in_values() {
        let access = AttemptAccess::new("http://a/$(HOME)", "a$$b$");
        let variables = "A=$(EphemeralJobData)$".parse().unwrap();
        let payload = PlannedPayload { delivery: Delivery::Env, data: "e30=".to_owned() };
        let env = render(&JobName::of_attempt(1, 2, 3), &payload, Some(&access), Some(30), Some(&variables));
        let value = |name: &str| {
            env.iter().find(|entry| entry.name == name).and_then(|entry| entry.value.as_deref()).unwrap()
        };
        assert_eq!(value("EphemeralAttemptUrl"), "http://a/$$(HOME)");
        assert_eq!(value("EphemeralAttemptToken"), "a$$$$b$$");
        assert_eq!(value("EphemeralJobData"), "e30=");
        assert_eq!(value("EphemeralGracePeriodSeconds"), "30");
        assert_eq!(value("A"), "$$(EphemeralJobData)$$");
    }
}
