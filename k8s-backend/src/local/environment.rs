//! Creates the environment and the command line of a process from the container of a Job.
//!
//! Reads Secrets; starts nothing. The order is that of the kubelet: variables of this machine (in a cluster:
//! of the image), then `envFrom`, then `env`; later ones replace earlier ones, and `$(NAME)` refers to
//! variables that the Job has defined before.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
    path::{Path, PathBuf},
};

use k8s_openapi::api::core::v1::{EnvFromSource, EnvVar, EnvVarSource};

use super::{
    expand::expand,
    mounts::{self, Mount},
    plan::Plan,
    secrets::{Secrets, no_key, no_secret},
};

/// The only variables of this program that a process inherits: a pod would not have the others either.
const INHERITED: [&str; 10] = [
    "PATH",
    "HOME",
    "USER",
    "TMPDIR",
    "LANG",
    "LC_ALL",
    "TZ",
    "SSH_AUTH_SOCK",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];

/// The arguments to start a process. It has no `Debug`, because it contains secrets.
pub(crate) struct CommandLine {
    pub(crate) program: OsString,
    pub(crate) arguments: Vec<OsString>,
    pub(crate) environment: BTreeMap<OsString, OsString>,
    /// Files that must exist before the start.
    pub(crate) mounts: Vec<Mount>,
}

/// The parts that a Job only refers to.
#[derive(Debug)]
pub(crate) struct HostEnvironment {
    pub(crate) secrets: PathBuf,
    pub(crate) entry_point: Option<PathBuf>,
    pub(crate) environment: BTreeMap<String, String>,
    /// Name of the variable with the path for the termination message.
    pub(crate) termination_variable: Option<String>,
}

/// Values are bytes, as in a Secret.
type Values = BTreeMap<String, Vec<u8>>;

impl HostEnvironment {
    /// Returns the command line of a Job. Mounted Secrets are in `mounted`.
    ///
    /// # Errors
    /// What the Job has to wait for, as a message of the kubelet.
    pub(crate) fn command_line(&self, plan: &Plan, mounted: &Path) -> Result<CommandLine, String> {
        let secrets = self.secrets_of(plan);
        let mounts = mounts::collect(&plan.container, &plan.volumes, &secrets, mounted, &plan.namespace)?;
        let mut values = Values::new();
        for source in plan.container.env_from.iter().flatten() {
            self.add_all(source, plan, &mut values)?;
        }
        for variable in plan.container.env.iter().flatten() {
            if let Some(value) = self.value_of(variable, &values, plan, &mounts)? {
                values.insert(variable.name.clone(), value);
            }
        }
        let expand_all = |texts: &Option<Vec<String>>| -> Vec<OsString> {
            let expanded = |text: &String| OsString::from_vec(expand_with(text.as_bytes(), &values, &mounts));
            texts.iter().flatten().map(expanded).collect()
        };
        let mut command = expand_all(&plan.container.command).into_iter();
        let entry_point = || self.entry_point.clone().map(PathBuf::into_os_string);
        let program = command.next().or_else(entry_point).ok_or("the container has no command")?;
        let arguments = command.chain(expand_all(&plan.container.args)).collect();

        let inherited = INHERITED.iter().filter_map(|name| {
            let value = self.environment.get(*name)?;
            Some((OsString::from(name), OsString::from(value)))
        });
        let own =
            values.iter().map(|(name, value)| (OsString::from(name), OsString::from_vec(value.clone())));
        Ok(CommandLine { program, arguments, environment: inherited.chain(own).collect(), mounts })
    }

    fn add_all(&self, source: &EnvFromSource, plan: &Plan, values: &mut Values) -> Result<(), String> {
        let prefix = source.prefix.as_deref().unwrap_or_default();
        if let Some(map) = &source.config_map_ref
            && map.optional != Some(true)
        {
            return Err(no_config_map(&map.name));
        }
        let Some(secret) = &source.secret_ref else { return Ok(()) };
        let Some(found) = self.secrets_of(plan).find(&secret.name) else {
            return if secret.optional == Some(true) { Ok(()) } else { Err(no_secret(&secret.name)) };
        };
        // Keys that are no valid names are left out, as by the kubelet.
        for key in found.keys()?.into_iter().filter(|key| is_variable_name(key)) {
            if let Some(value) = found.get(&key)? {
                values.insert(format!("{prefix}{key}"), value);
            }
        }
        Ok(())
    }

    fn value_of(
        &self,
        variable: &EnvVar,
        values: &Values,
        plan: &Plan,
        mounts: &[Mount],
    ) -> Result<Option<Vec<u8>>, String> {
        match (&variable.value, &variable.value_from) {
            (Some(text), _) if !text.is_empty() => Ok(Some(expand_with(text.as_bytes(), values, mounts))),
            (_, Some(source)) => self.referred(source, plan),
            _ => Ok(Some(Vec::new())),
        }
    }

    fn referred(&self, source: &EnvVarSource, plan: &Plan) -> Result<Option<Vec<u8>>, String> {
        if let Some(wanted) = &source.secret_key_ref {
            let optional = wanted.optional == Some(true);
            let Some(found) = self.secrets_of(plan).find(&wanted.name) else {
                return if optional { Ok(None) } else { Err(no_secret(&wanted.name)) };
            };
            return match found.get(&wanted.key)? {
                None if !optional => Err(no_key(&wanted.key, &plan.namespace, &wanted.name)),
                value => Ok(value),
            };
        }
        if let Some(wanted) = &source.config_map_key_ref {
            return if wanted.optional == Some(true) { Ok(None) } else { Err(no_config_map(&wanted.name)) };
        }
        Err("a variable refers to a field of the pod, and a local process has no pod".to_owned())
    }

    fn secrets_of<'a>(&'a self, plan: &'a Plan) -> Secrets<'a> {
        Secrets { own: plan.secret.as_ref(), folder: &self.secrets }
    }
}

fn expand_with(text: &[u8], values: &Values, mounts: &[Mount]) -> Vec<u8> {
    let expanded = expand(text, |name| values.get(std::ffi::OsStr::from_bytes(name).to_str()?).cloned());
    mounts.iter().find_map(|mount| mount.translate(&expanded)).unwrap_or(expanded)
}

fn is_variable_name(key: &str) -> bool {
    !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'=')
}

fn no_config_map(name: &str) -> String {
    format!("configmap {name:?} not found (the local backend has none)")
}

#[cfg(test)]
mod tests;
