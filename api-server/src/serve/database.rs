//! The database that the options and the environment name.

use std::fs;

use anyhow::{Context as _, bail};
use config_core::EnvSnapshot;
use secrecy::SecretString;

use crate::{cli::Serve, store::PostgresAddress};

/// Unlike the command line, other users of the machine cannot read it.
const VARIABLE: &str = "API_SERVER_DATABASE";

/// Returns the address of the PostgreSQL database; `None` for the file in the data folder.
pub(super) fn address(options: &Serve, environment: &EnvSnapshot) -> anyhow::Result<Option<PostgresAddress>> {
    let address = match (&options.database, environment.get(VARIABLE)) {
        (Some(url), _) => {
            let address = PostgresAddress::parse(url).context("cannot use --database")?;
            if address.has_password() {
                bail!(
                    "--database holds a password, which other users of this machine can read; \
                     put the address into the environment variable {VARIABLE}, \
                     or use --database-password-file"
                );
            }
            address
        }
        (None, Some(url)) => PostgresAddress::parse(url).with_context(|| format!("cannot use {VARIABLE}"))?,
        (None, None) if options.database_password_file.is_some() => {
            bail!("--database-password-file needs --database or the environment variable {VARIABLE}");
        }
        (None, None) => return Ok(None),
    };
    let Some(path) = &options.database_password_file else { return Ok(Some(address)) };
    let password = fs::read_to_string(path)
        .with_context(|| format!("cannot read the password of the database of {path:?}"))?;
    Ok(Some(address.with_password(&SecretString::from(password.trim_end_matches(['\n', '\r'])))))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::{Cli, Command};

    fn found(arguments: &[&str], variable: Option<&str>) -> Result<Option<String>, String> {
        let line = ["api-server", "serve", "--data-dir", "/d"].iter().chain(arguments);
        let Command::Serve(options) = Cli::try_parse_from(line).unwrap().command else { unreachable!() };
        let environment: EnvSnapshot =
            variable.map(|url| (VARIABLE.to_owned(), url.to_owned())).into_iter().collect();
        let found = address(&options, &environment).map_err(|error| format!("{error:#}"))?;
        Ok(found.map(|address| address.to_string()))
    }

    #[test]
    fn takes_the_address_of_options_before_that_of_the_environment() {
        let on = |host: &str| Ok(Some(format!("database \"d\" on \"{host}\" port 5432")));
        assert_eq!(found(&[], None), Ok(None));
        assert_eq!(found(&[], Some("postgres://u:p@one/d")), on("one"));
        assert_eq!(found(&["--database", "postgres://u@two/d"], Some("postgres://u:p@one/d")), on("two"));
    }

    #[test]
    fn refuses_a_password_on_the_command_line_without_showing_it() {
        for url in ["postgres://u:hunter2@one/d", "postgres://u@one/d?password=hunter2"] {
            let error = found(&["--database", url], None).unwrap_err();
            assert!(error.contains("API_SERVER_DATABASE") && !error.contains("hunter2"), "{error}");
        }
        let error = found(&["--database-password-file", "/p"], None).unwrap_err();
        assert!(error.contains("needs --database"), "{error}");
        let error =
            found(&["--database-password-file", "/nonexistent", "--database", "postgres://u@one/d"], None);
        assert!(error.unwrap_err().contains("/nonexistent"));
    }
}
