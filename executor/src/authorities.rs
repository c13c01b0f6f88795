//! Certificates of private authorities: one setting for this program, git, terraform and everything that it
//! starts.
//!
//! Programs that read `SSL_CERT_FILE` trust that file alone, and git has another variable for it. So children
//! get one file with the authorities of the system and those of the setting, under all of these names.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use reqwest::Certificate;

/// The setting: the path of a file with certificates in PEM form, or the certificates themselves.
pub(crate) const SETTING: &str = "SSL_CERT_FILE";

/// Further names for the same file.
const OTHER_NAMES: &[&str] = &["GIT_SSL_CAINFO", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE"];

/// Where systems keep their authorities; the first file that exists counts.
const SYSTEM_FILES: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";

/// The setting cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AuthoritiesError {
    #[error("could not read {path:?}, which {SETTING} names")]
    Read { path: PathBuf, source: io::Error },
    #[error(
        "{SETTING} is no certificate, expected the absolute path of a file with certificates in PEM form, or \
         the certificates themselves"
    )]
    Form,
    #[error("file {path:?}, which {SETTING} names, has no certificate in PEM form")]
    Empty { path: PathBuf },
    #[error("could not write the file of certificates")]
    Write(#[source] io::Error),
}

/// The authorities of the system and those of the setting, in PEM form.
#[derive(Debug)]
pub(crate) struct Authorities {
    pem: String,
}

impl Authorities {
    /// Reads the values of the setting; `None` if there are none.
    pub(crate) fn new<'a>(
        values: impl IntoIterator<Item = &'a str>,
    ) -> Result<Option<Self>, AuthoritiesError> {
        let mut own = String::new();
        for value in values {
            let text = read(value)?;
            if !own.contains(text.trim()) {
                own.push_str(&text);
                own.push('\n');
            }
        }
        if own.is_empty() {
            return Ok(None);
        }
        let system = SYSTEM_FILES.iter().find_map(|path| fs::read_to_string(path).ok()).unwrap_or_default();
        Ok(Some(Self { pem: if own.contains(system.trim()) { own } else { format!("{system}\n{own}") } }))
    }

    /// Returns the certificates for a client of this program.
    pub(crate) fn certificates(&self) -> Result<Vec<Certificate>, reqwest::Error> {
        Certificate::from_pem_bundle(self.pem.as_bytes())
    }

    /// Writes the certificates into a file, and names it to a child. What the environment names itself stays.
    pub(crate) fn add_to(
        &self,
        env: &mut BTreeMap<String, String>,
        file: &Path,
    ) -> Result<(), AuthoritiesError> {
        fs::write(file, &self.pem).map_err(AuthoritiesError::Write)?;
        let file = file.display().to_string();
        for name in OTHER_NAMES {
            env.entry((*name).to_owned()).or_insert_with(|| file.clone());
        }
        env.insert(SETTING.into(), file);
        Ok(())
    }
}

fn read(value: &str) -> Result<String, AuthoritiesError> {
    let value = value.trim();
    if value.contains(BEGIN) {
        // Forms for variables often turn line ends into two characters.
        return Ok(if value.contains('\n') { value.to_owned() } else { value.replace("\\n", "\n") });
    }
    let path = PathBuf::from(value);
    if !path.is_absolute() {
        return Err(AuthoritiesError::Form);
    }
    match fs::read_to_string(&path) {
        Ok(text) if text.contains(BEGIN) => Ok(text),
        Ok(_) => Err(AuthoritiesError::Empty { path }),
        Err(source) => Err(AuthoritiesError::Read { path, source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "-----BEGIN CERTIFICATE-----\nMQ==\n-----END CERTIFICATE-----";

    #[test]
    fn children_get_one_file_under_every_name() {
        let folder = tempfile::tempdir().unwrap();
        let given = folder.path().join("given.pem");
        fs::write(&given, ONE).unwrap();
        let other = ONE.replace("MQ==", "Mg==").replace('\n', "\\n");
        let authorities = Authorities::new([given.to_str().unwrap(), &other, ONE]).unwrap().unwrap();
        let mut env = BTreeMap::from([("GIT_SSL_CAINFO".to_owned(), "/own.pem".to_owned())]);
        let file = folder.path().join("all.pem");
        authorities.add_to(&mut env, &file).unwrap();
        let text = fs::read_to_string(&file).unwrap();
        assert_eq!((text.matches("\nMQ==\n").count(), text.matches("\nMg==\n").count()), (1, 1));
        assert_eq!(env["GIT_SSL_CAINFO"], "/own.pem");
        for name in [SETTING, "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE"] {
            assert_eq!(env[name], file.to_str().unwrap(), "{name}");
        }
        if let Some(system) = SYSTEM_FILES.iter().find_map(|path| fs::read_to_string(path).ok()) {
            assert!(text.contains(system.trim()));
        }
    }

    #[test]
    fn rejects_what_is_no_certificate() {
        let folder = tempfile::tempdir().unwrap();
        let empty = folder.path().join("empty.pem");
        fs::write(&empty, "text").unwrap();
        assert!(Authorities::new([]).unwrap().is_none());
        let message = |value: &str| Authorities::new([value]).unwrap_err().to_string();
        assert!(message("certs/ca.pem").starts_with("SSL_CERT_FILE is no certificate, expected"));
        assert!(message(empty.to_str().unwrap()).ends_with("has no certificate in PEM form"));
        assert!(message("/nowhere.pem").starts_with("could not read \"/nowhere.pem\""));
    }
}
