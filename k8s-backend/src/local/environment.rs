//! Makes the environment and the command line of a child from a Job's container.
//!
//! Reads Secrets from a folder; starts nothing. The order is that of the kubelet: what the machine gives (in a cluster: the
//! image), then `envFrom`, then `env`; later ones win, and `$(NAME)` sees what the Job itself has defined so far.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs, io,
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
    path::{Path, PathBuf},
};

use k8s_openapi::api::core::v1::{EnvFromSource, EnvVar, EnvVarSource};

use super::{expand::expand, plan::Plan};

/// The only variables of this program's own environment that a child gets: a pod would not see the others either.
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

/// What a child is started with.
#[derive(Debug)]
pub(crate) struct CommandLine {
    pub(crate) program: OsString,
    pub(crate) arguments: Vec<OsString>,
    pub(crate) environment: BTreeMap<OsString, OsString>,
}

/// Where the parts come from that a Job only names.
#[derive(Debug)]
pub(crate) struct Surroundings {
    pub(crate) secrets: PathBuf,
    pub(crate) entry_point: PathBuf,
    pub(crate) environment: BTreeMap<String, String>,
}

/// Values may be any bytes, as in a Secret.
type Values = BTreeMap<String, Vec<u8>>;

impl Surroundings {
    /// Makes the command line of a Job, or says what it has to wait for.
    ///
    /// # Errors
    /// The reason to wait, in the kubelet's kind of words.
    pub(crate) fn command_line(&self, plan: &Plan) -> Result<CommandLine, String> {
        let mut values = Values::new();
        for source in plan.container.env_from.iter().flatten() {
            self.take_all(source, &mut values)?;
        }
        for variable in plan.container.env.iter().flatten() {
            if let Some(value) = self.value_of(variable, &values, &plan.namespace)? {
                values.insert(variable.name.clone(), value);
            }
        }
        let words = |words: &Option<Vec<String>>| -> Vec<OsString> {
            let expanded = |word: &String| OsString::from_vec(expand_with(word.as_bytes(), &values));
            words.iter().flatten().map(expanded).collect()
        };
        let mut command = words(&plan.container.command).into_iter();
        let program = command.next().unwrap_or_else(|| self.entry_point.clone().into_os_string());
        let arguments = command.chain(words(&plan.container.args)).collect();

        let inherited = INHERITED.iter().filter_map(|name| {
            let value = self.environment.get(*name)?;
            Some((OsString::from(name), OsString::from(value)))
        });
        let own =
            values.iter().map(|(name, value)| (OsString::from(name), OsString::from_vec(value.clone())));
        Ok(CommandLine { program, arguments, environment: inherited.chain(own).collect() })
    }

    fn take_all(&self, source: &EnvFromSource, values: &mut Values) -> Result<(), String> {
        let prefix = source.prefix.as_deref().unwrap_or_default();
        if let Some(map) = &source.config_map_ref
            && map.optional != Some(true)
        {
            return Err(no_config_map(&map.name));
        }
        let Some(secret) = &source.secret_ref else { return Ok(()) };
        let Some(folder) = self.secret(&secret.name) else {
            return if secret.optional == Some(true) { Ok(()) } else { Err(no_secret(&secret.name)) };
        };
        let entries = fs::read_dir(&folder).map_err(|error| unreadable(&secret.name, &error))?;
        for entry in entries {
            let entry = entry.map_err(|error| unreadable(&secret.name, &error))?;
            let key = entry.file_name();
            // Names with a dot in front are the bookkeeping of mounted Secrets. What cannot be a variable is left out, as
            // the kubelet does.
            let Some(key) = key.to_str().filter(|key| !key.starts_with('.') && is_variable_name(key)) else {
                continue;
            };
            if !entry.path().is_file() {
                continue;
            }
            let value = fs::read(entry.path()).map_err(|error| unreadable(&secret.name, &error))?;
            values.insert(format!("{prefix}{key}"), value);
        }
        Ok(())
    }

    fn value_of(
        &self,
        variable: &EnvVar,
        values: &Values,
        namespace: &str,
    ) -> Result<Option<Vec<u8>>, String> {
        match (&variable.value, &variable.value_from) {
            (Some(text), _) if !text.is_empty() => Ok(Some(expand_with(text.as_bytes(), values))),
            (_, Some(source)) => self.referred(source, namespace),
            _ => Ok(Some(Vec::new())),
        }
    }

    fn referred(&self, source: &EnvVarSource, namespace: &str) -> Result<Option<Vec<u8>>, String> {
        if let Some(wanted) = &source.secret_key_ref {
            let optional = wanted.optional == Some(true);
            let Some(folder) = self.secret(&wanted.name) else {
                return if optional { Ok(None) } else { Err(no_secret(&wanted.name)) };
            };
            let is_plain = !wanted.key.starts_with('.') && !wanted.key.contains('/');
            let missing =
                || format!("couldn't find key {} in Secret {namespace}/{}", wanted.key, wanted.name);
            return match fs::read(folder.join(&wanted.key)) {
                Ok(value) if is_plain => Ok(Some(value)),
                Err(error) if is_plain && error.kind() != io::ErrorKind::NotFound => {
                    Err(unreadable(&wanted.name, &error))
                }
                _ if optional => Ok(None),
                _ => Err(missing()),
            };
        }
        if let Some(wanted) = &source.config_map_key_ref {
            return if wanted.optional == Some(true) { Ok(None) } else { Err(no_config_map(&wanted.name)) };
        }
        Err("a variable takes its value from a field of the pod, and a local process has no pod".to_owned())
    }

    /// Returns the folder of a Secret if it is there.
    fn secret(&self, name: &str) -> Option<PathBuf> {
        // The names of Secrets are DNS subdomains: labels with dots between them. Nothing else may become a path.
        let folder = self.secrets.join(name);
        (name.split('.').all(crate::identity::is_dns_label) && Path::new(&folder).is_dir()).then_some(folder)
    }
}

fn expand_with(text: &[u8], values: &Values) -> Vec<u8> {
    expand(text, |name| values.get(std::ffi::OsStr::from_bytes(name).to_str()?).cloned())
}

fn is_variable_name(key: &str) -> bool {
    !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'=')
}

fn no_secret(name: &str) -> String {
    format!("secret {name:?} not found")
}

fn no_config_map(name: &str) -> String {
    format!("configmap {name:?} not found (the local backend has none)")
}

fn unreadable(name: &str, error: &io::Error) -> String {
    format!("secret {name:?} cannot be read: {error}")
}

#[cfg(test)]
mod tests;
