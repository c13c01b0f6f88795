//! What the phases of a step share.

use std::collections::BTreeMap;

use config_core::EnvSnapshot;
use job_spec::{EphemeralJobData, attempt_api::ClaimResponse};
use url::Url;

use super::decode::AttemptInput;
use crate::{
    api::{
        Api,
        error::{ApiError, ErrorKind},
    },
    authorities::{self, Authorities, AuthoritiesError},
    child::{command_line::Options, environment},
    log::Log,
    network::Proxies,
    state_proxy::StateProxy,
    stop::Stop,
    timeouts::Timeouts,
    work_paths::{WorkDir, WorkPaths},
};

/// Everything that is known when the step starts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) input: &'a AttemptInput,
    pub(crate) env: &'a EnvSnapshot,
    pub(crate) claim: &'a ClaimResponse,
    pub(crate) api: &'a Api,
    pub(crate) state: &'a StateProxy,
    pub(crate) paths: &'a WorkPaths,
    pub(crate) log: &'a Log,
    pub(crate) stop: &'a Stop,
    pub(crate) timeouts: Timeouts,
}

impl<'a> Context<'a> {
    pub(crate) fn payload(&self) -> &'a EphemeralJobData {
        &self.input.payload
    }

    /// Returns the proxies of this step. The api-server is reached without one.
    pub(crate) fn proxies(&self) -> Proxies {
        let api = Url::parse(&self.input.env.url).ok();
        let host = api.as_ref().and_then(Url::host_str).unwrap_or_default();
        let inherited = environment::inherited(self.env);
        Proxies::new(&inherited, &self.payload().environment_variables, &[host])
    }

    /// Adds the proxies and certificates of this step to the environment of a child.
    pub(crate) fn add_network(
        &self,
        env: &mut BTreeMap<String, String>,
        dir: &WorkDir,
    ) -> Result<(), AuthoritiesError> {
        self.proxies().add_to(env);
        match self.authorities()? {
            Some(authorities) => authorities.add_to(env, &dir.authorities()),
            None => Ok(()),
        }
    }

    /// Returns the certificates that this step trusts, if they are not those of the system.
    pub(crate) fn authorities(&self) -> Result<Option<Authorities>, AuthoritiesError> {
        let workspace = self.payload().environment_variables.get(authorities::SETTING);
        let values = [self.env.get(authorities::SETTING), workspace.map(String::as_str)];
        Authorities::new(values.into_iter().flatten().filter(|value| !value.trim().is_empty()))
    }

    /// Writes a heading to the log, unless the job does not want headings.
    pub(crate) fn heading(&self, text: &str) {
        if self.payload().show_header {
            self.log.note(&format!("=== {text} ==="));
        }
    }

    /// Stops the step if this error says that the api-server has closed the attempt.
    pub(crate) fn fence_if_closed(&self, error: &ApiError) {
        if error.kind == ErrorKind::Closed {
            self.stop.fence();
        }
    }

    /// Returns the options of the command lines.
    pub(crate) fn options(&self) -> Options {
        let payload = self.payload();
        Options {
            step: payload.step_type,
            refresh: payload.refresh,
            refresh_only: payload.refresh_only,
            color: self.input.env.color,
        }
    }
}
