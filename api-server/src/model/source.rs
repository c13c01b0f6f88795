//! The address of a workspace's source, which may hold a password or a token.

use std::{borrow::Cow, fmt};

use serde::{Deserialize, Serialize, Serializer};
use url::Url;

/// Length from which a user name without a password is a token, which some hosts accept in its place. The
/// executor has the same rule.
const MIN_TOKEN_CHARS: usize = 20;

const HIDDEN: &str = "(sensitive)";

/// Parameters of an address whose values are no secrets. Hosts take tokens under any other name.
const OPEN_PARAMETERS: &[&str] = &["ref", "branch", "tag", "depth", "archive", "version", "api-version"];

/// The address of a source. Everything that shows it (the API, logs, messages) shows it without its password;
/// only [`expose`](Self::expose) returns it in full.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub struct SourceAddress(String);

impl SourceAddress {
    /// Returns the full address, for the executor and the store.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Splits the address around what is secret; `None` if nothing is.
    fn around_secret(&self) -> Option<(&str, &str)> {
        let address = self.0.as_str();
        let is_web = |scheme: &str| ["http", "https"].iter().any(|web| scheme.eq_ignore_ascii_case(web));
        let (start, is_web) = match address.find("://") {
            Some(colon) => (colon + 3, is_web(address[..colon].trim_start())),
            // The short form of ssh, `user@host:path`, has no password.
            None if address.starts_with('/') || address.find('@') < address.find(':') => return None,
            None => (0, false),
        };
        let rest = &address[start..];
        let authority = &rest[..rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len())];
        // In an address that is not valid, a password may hold any character.
        let at = match authority.rfind('@') {
            Some(at) => at,
            None if Url::parse(address.trim()).is_ok_and(|url| start > 0 && url.username().is_empty()) => {
                return None;
            }
            None => rest.rfind('@')?,
        };
        let (user, password) = rest[..at].split_once(':').unwrap_or((&rest[..at], ""));
        let after = &rest[at..];
        if !password.is_empty() {
            return Some((&address[..=start + user.len()], after));
        }
        (is_web && user.chars().count() >= MIN_TOKEN_CHARS).then_some((&address[..start], after))
    }
}

impl From<String> for SourceAddress {
    fn from(address: String) -> Self {
        Self(address)
    }
}

impl From<&str> for SourceAddress {
    fn from(address: &str) -> Self {
        Self(address.to_owned())
    }
}

impl fmt::Display for SourceAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.around_secret() {
            Some((before, after)) => write!(f, "{before}{HIDDEN}{}", without_parameters(after)),
            None => f.write_str(&without_parameters(&self.0)),
        }
    }
}

/// Hides the values of the parameters of a web address, `?token=…`; a path or a short form of ssh has none.
fn without_parameters(address: &str) -> Cow<'_, str> {
    let Some((path, rest)) = address.split_once('?').filter(|_| !address.starts_with('/')) else {
        return Cow::Borrowed(address);
    };
    let (query, fragment) = rest.split_at(rest.find('#').unwrap_or(rest.len()));
    let shown = query.split('&').map(|parameter| match parameter.split_once('=') {
        Some((name, value)) if !value.is_empty() && !OPEN_PARAMETERS.contains(&name) => {
            Cow::Owned(format!("{name}={HIDDEN}"))
        }
        _ => Cow::Borrowed(parameter),
    });
    let shown: Vec<_> = shown.collect();
    Cow::Owned(format!("{path}?{}{fragment}", shown.join("&")))
}

impl fmt::Debug for SourceAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.to_string(), f)
    }
}

impl Serialize for SourceAddress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hides_password_and_keeps_user_and_host() {
        for (address, shown) in [
            ("https://me:hunter2@git.example.com/a.git", "https://me:(sensitive)@git.example.com/a.git"),
            ("HTTPS://me:hunter2@host:8443/a@v1", "HTTPS://me:(sensitive)@host:8443/a@v1"),
            (" https://:hunter2@host/a", " https://:(sensitive)@host/a"),
            ("ssh://git:hunter2@host/a.git", "ssh://git:(sensitive)@host/a.git"),
            ("https://me:a:b@c@host/a", "https://me:(sensitive)@host/a"),
            ("https://me:hunt/er#2@host/a.git", "https://me:(sensitive)@host/a.git"),
            ("https://me:hunt\\er2@host/a.git", "https://me:(sensitive)@host/a.git"),
            ("me:hunter2@host/a.git", "me:(sensitive)@host/a.git"),
            ("https://ghp_0123456789abcdefghij@host/a", "https://(sensitive)@host/a"),
            ("https://ghp_0123456789abcdefghij:@host/a", "https://(sensitive)@host/a"),
            (
                "https://me:hunter2@host/a.git?private_token=abc&ref=v1#x",
                "https://me:(sensitive)@host/a.git?private_token=(sensitive)&ref=v1#x",
            ),
            ("https://host/a.tar.gz?sig=a%2Fb==&se=", "https://host/a.tar.gz?sig=(sensitive)&se="),
        ] {
            let address = SourceAddress::from(address);
            assert_eq!(address.to_string(), shown);
            assert_eq!(format!("{address:?}"), format!("{shown:?}"));
            assert_eq!(serde_json::to_value(&address).unwrap(), shown);
        }
    }

    #[test]
    fn address_without_password_is_shown_as_it_is() {
        for address in [
            "https://git.example.com/a.git",
            "https://git.example.com:8443/a@v1.git?ref=x:y@z",
            "https://me@git.example.com/a.git",
            "https://me:@git.example.com/a.git",
            "ssh://git@host:22/a.git",
            "git@host:acme/infra.git",
            "git@host:acme/infra@2.git",
            "git@host:infra@2.git",
            "/home/me/infra:x@y",
            "/home/me/what?is=this",
            "file:///home/me/infra:x@y",
            "",
        ] {
            assert_eq!(SourceAddress::from(address).to_string(), address);
            assert_eq!(SourceAddress::from(address).expose(), address);
        }
    }
}
