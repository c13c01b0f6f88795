//! Why git failed, from its error output; pure.
//!
//! Git runs with `LC_ALL=C`, so its messages are those of its source. What is not recognized is shown as git
//! says it.

use std::fmt;

use super::super::address::{Access, Repository};

/// The longest part of a message of git that is shown; the log has all of it.
const MAX_SHOWN_CHARS: usize = 300;

/// What a message of git means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    /// The reference does not exist.
    NoReference,
    /// The server does not have this commit.
    NoCommit,
    /// The server does not serve commits by their id.
    IdsRefused,
    /// The server cannot send a part of the history.
    NoShallow,
    /// The server wants a credential.
    CredentialMissing,
    /// The server refused the credential.
    CredentialRefused,
    /// The server says that there is no such repository; it says that to those who may not see it, too.
    NoRepository,
    /// The server cannot be reached.
    Unreachable,
    /// The certificate of the server is not trusted.
    Certificate,
    /// The key of an ssh server has changed.
    HostKey,
    /// The address or a submodule uses a protocol that is not allowed.
    Protocol,
    /// Another reason.
    Other,
}

/// Parts of messages in lower case, the specific ones first.
const PATTERNS: &[(&str, Reason)] = &[
    ("couldn't find remote ref", Reason::NoReference),
    ("not our ref", Reason::NoCommit),
    ("unadvertised object", Reason::IdsRefused),
    ("does not support shallow", Reason::NoShallow),
    ("transport '", Reason::Protocol),
    ("host key verification failed", Reason::HostKey),
    ("remote host identification has changed", Reason::HostKey),
    ("authentication failed", Reason::CredentialRefused),
    ("permission denied (", Reason::CredentialRefused),
    ("the requested url returned error: 403", Reason::CredentialRefused),
    ("could not read username", Reason::CredentialMissing),
    ("could not read password", Reason::CredentialMissing),
    ("certificate", Reason::Certificate),
    ("could not resolve host", Reason::Unreachable),
    ("could not resolve proxy", Reason::Unreachable),
    ("connection refused", Reason::Unreachable),
    ("connection timed out", Reason::Unreachable),
    ("failed to connect", Reason::Unreachable),
    ("couldn't connect", Reason::Unreachable),
    ("no route to host", Reason::Unreachable),
    ("network is unreachable", Reason::Unreachable),
    ("operation too slow", Reason::Unreachable),
    ("proxy connect aborted", Reason::Unreachable),
    ("from proxy after connect", Reason::Unreachable),
    ("unable to access", Reason::Other),
    ("repository not found", Reason::NoRepository),
    ("does not appear to be a git repository", Reason::NoRepository),
    ("not found", Reason::NoRepository),
];

impl Reason {
    /// Finds the reason in the error output of git.
    pub(super) fn parse(errors: &str) -> Self {
        let text = errors.to_lowercase();
        PATTERNS.iter().find(|(part, _)| text.contains(part)).map_or(Self::Other, |(_, reason)| *reason)
    }
}

/// Git failed.
#[derive(Debug)]
pub(crate) struct GitFailure {
    /// What was asked for: `fetch "main"`.
    pub(super) action: String,
    /// Address without credentials.
    pub(super) url: String,
    pub(super) reason: Reason,
    /// The credential that git had, without its secret part.
    pub(super) credential: String,
    /// The last message of git.
    pub(super) last: String,
}

impl std::error::Error for GitFailure {}

impl GitFailure {
    pub(super) fn new(action: impl Into<String>, repository: &Repository, errors: &str) -> Self {
        Self {
            action: action.into(),
            url: repository.url.clone(),
            reason: Reason::parse(errors),
            credential: describe(&repository.access),
            last: last_message(errors),
        }
    }

    fn advice(&self) -> String {
        let Self { credential, .. } = self;
        match self.reason {
            Reason::NoReference => "there is no such reference".to_owned(),
            Reason::NoCommit | Reason::IdsRefused => {
                "the server does not have this commit; it may have been \
                 removed by a force push, or belong to another repository"
                    .to_owned()
            }
            Reason::NoShallow => "the server cannot send a part of the history".to_owned(),
            Reason::CredentialMissing => format!(
                "the server asks for a credential, and the workspace has {credential}; connect the \
                 workspace to its version control system, or correct the address"
            ),
            Reason::CredentialRefused => format!(
                "the server refused access with {credential}; check that it is valid, has not expired and \
                 may read this repository"
            ),
            Reason::NoRepository => format!(
                "the server has no such repository, or does not show it to {credential}; check the address \
                 and the rights of the credential"
            ),
            Reason::Unreachable => "the server cannot be reached from the executor; check the address, DNS, \
                 network policies and proxies"
                .to_owned(),
            Reason::Certificate => "the certificate of the server is not trusted; give the executor the \
                 certificate of the authority that signed it"
                .to_owned(),
            Reason::HostKey => "the key of the ssh server is not the one that is known; check that this is \
                 the right server, then remove the old key from known_hosts"
                .to_owned(),
            Reason::Protocol => {
                "the address uses a protocol that is not allowed; use https or ssh".to_owned()
            }
            Reason::Other => "see its error message in the log".to_owned(),
        }
    }
}

impl fmt::Display for GitFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "git could not {} of {}: {}", self.action, self.url, self.advice())?;
        if self.last.is_empty() { Ok(()) } else { write!(f, " (git: {})", self.last) }
    }
}

fn describe(access: &Access) -> String {
    use secrecy::ExposeSecret as _;
    match access {
        Access::Public => "no credential".to_owned(),
        Access::Password { user, password, .. } if password.expose_secret().is_empty() => {
            let _ = user;
            "its token".to_owned()
        }
        Access::Password { user, .. } => format!("its credential for user {:?}", user.expose_secret()),
        Access::Key(_) => "its ssh key".to_owned(),
    }
}

/// Returns the last line that says what failed.
fn last_message(errors: &str) -> String {
    let lines: Vec<_> = errors.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let is_cause = |line: &&&str| line.starts_with("fatal: ") || line.starts_with("error: ");
    let generic = |line: &str| {
        line.starts_with("fatal: Could not read from remote repository")
            || line.starts_with("fatal: the remote end hung up")
    };
    let cause = lines.iter().rev().filter(|line| !generic(line)).find(is_cause);
    // The messages of ssh have no such beginning.
    let other = || lines.iter().rev().find(|line| !generic(line) && !line.starts_with("and the repository"));
    let line = cause.or_else(other).copied().unwrap_or_default();
    line.chars().take(MAX_SHOWN_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recognizes_messages_of_git() {
        let cases = [
            ("fatal: couldn't find remote ref refs/heads/x", Reason::NoReference),
            ("fatal: remote error: upload-pack: not our ref 0123", Reason::NoCommit),
            ("error: Server does not allow request for unadvertised object 0123", Reason::IdsRefused),
            ("fatal: dumb http transport does not support shallow capabilities", Reason::NoShallow),
            ("fatal: Authentication failed for 'https://host/a.git/'", Reason::CredentialRefused),
            ("git@host: Permission denied (publickey).", Reason::CredentialRefused),
            (
                "fatal: could not read Username for 'https://host': terminal prompts disabled",
                Reason::CredentialMissing,
            ),
            ("fatal: repository 'https://host/a.git/' not found", Reason::NoRepository),
            ("fatal: '/srv/x.git' does not appear to be a git repository", Reason::NoRepository),
            ("fatal: unable to access 'https://host/': Could not resolve host: host", Reason::Unreachable),
            (
                "fatal: unable to access 'https://host/': server certificate verification failed. CAfile: \
                 none",
                Reason::Certificate,
            ),
            ("fatal: unable to access 'https://host/': The requested URL returned error: 500", Reason::Other),
            ("Host key verification failed.", Reason::HostKey),
            ("fatal: transport 'ext' not allowed", Reason::Protocol),
            ("", Reason::Other),
        ];
        for (text, expected) in cases {
            assert_eq!(Reason::parse(text), expected, "{text}");
        }
    }

    #[test]
    fn message_has_cause_and_what_to_do_but_no_secret() {
        let access = Access::Password {
            scope: "https://host".into(),
            user: "x-access-token".into(),
            password: "hunter2".into(),
        };
        let repository = Repository { url: "https://host/a.git".into(), access };
        let errors =
            "remote: Invalid username or password.\nfatal: Authentication failed for 'https://host/a.git/'\n";
        assert_eq!(
            GitFailure::new("fetch \"main\"", &repository, errors).to_string(),
            "git could not fetch \"main\" of https://host/a.git: the server refused access with its \
             credential for user \"x-access-token\"; check that it is valid, has not expired and may read \
             this repository (git: fatal: Authentication failed for 'https://host/a.git/')"
        );
        let ssh = Repository { url: "git@host:a".into(), access: Access::Key("KEY".into()) };
        let errors = "git@host: Permission denied (publickey).\nfatal: \
            Could not read from remote repository.\n\n\
                      Please make sure you have the correct access rights\nand the repository exists.\n";
        let text = GitFailure::new("fetch \"main\"", &ssh, errors).to_string();
        assert!(text.contains("refused access with its ssh key"), "{text}");
    }
}
