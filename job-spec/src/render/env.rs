//! The environment variables of the executor; what comes from Secrets and config maps is in `container.rs`.

use config_core::{keys, value::EnvVars};
use k8s_openapi::api::core::v1::EnvVar;

use crate::{
    AttemptAccess,
    attempt_api::{ATTEMPT_TOKEN_ENV, ATTEMPT_URL_ENV},
};

pub(super) fn render(job_data: &str, access: Option<&AttemptAccess>, env_vars: &EnvVars) -> Vec<EnvVar> {
    let mut env = vec![entry(keys::EPHEMERAL_FLAG_BATCH, "true"), entry(keys::EPHEMERAL_JOB_DATA, job_data)];
    if let Some(AttemptAccess { url, token }) = access {
        env.push(entry(ATTEMPT_URL_ENV, url));
        env.push(entry(ATTEMPT_TOKEN_ENV, token));
    }
    env.extend(env_vars.iter().map(|(name, value)| entry(name, value)));
    env
}

/// Makes an entry whose value reaches the container as it is: Kubernetes expands `$(NAME)` and reads `$$` as `$`, so
/// every `$` is doubled.
fn entry(name: &str, value: &str) -> EnvVar {
    EnvVar { name: name.to_owned(), value: Some(value.replace('$', "$$")), value_from: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dollar_sign_is_doubled_so_that_kubernetes_expands_nothing() {
        let access = AttemptAccess { url: "http://a/$(HOME)".to_owned(), token: "a$$b$".to_owned() };
        let variables = "A=$(EphemeralJobData)$".parse().unwrap();
        let env = render("e30=", Some(&access), &variables);
        let value = |name: &str| {
            env.iter().find(|entry| entry.name == name).and_then(|entry| entry.value.as_deref()).unwrap()
        };
        assert_eq!(value("EphemeralAttemptUrl"), "http://a/$$(HOME)");
        assert_eq!(value("EphemeralAttemptToken"), "a$$$$b$$");
        assert_eq!(value("EphemeralJobData"), "e30=");
        assert_eq!(value("A"), "$$(EphemeralJobData)$$");
    }
}
