//! Tables of addresses and credentials.

use job_spec::EphemeralJobData;
use secrecy::ExposeSecret as _;

use super::{Access, ArchiveAccess, ArchiveUrl, Source, locate, secrets_in_address};

fn payload(source: &str, vcs: &str, connection: Option<&str>, token: Option<&str>) -> EphemeralJobData {
    let text = r#"{"type":"terraformPlan","organizationId":"o","workspaceId":"w","jobId":"1","stepId":"s"}"#;
    let mut payload: EphemeralJobData = serde_json::from_str(text).unwrap();
    payload.source = source.into();
    payload.vcs_type = vcs.into();
    payload.connection_type = connection.map(str::to_owned);
    payload.access_token = token.map(str::to_owned);
    payload
}

fn describe(payload: &EphemeralJobData) -> String {
    match locate(payload, |path| path.extension().is_some_and(|extension| extension == "git")) {
        Ok(Source::ArchiveFile(path)) => format!("archive {}", path.display()),
        Ok(Source::ArchiveUrl(ArchiveUrl { url, access })) => match access {
            ArchiveAccess::Public => format!("archive {url}"),
            ArchiveAccess::Bearer(token) => format!("archive {url} with {}", token.expose_secret()),
            ArchiveAccess::Basic { user, password } => {
                format!("archive {url} as {user}:{}", password.expose_secret())
            }
        },
        Ok(Source::Folder(path)) => format!("folder {}", path.display()),
        Ok(Source::Git(repository)) => match repository.access {
            Access::Public => format!("git {}", repository.url),
            Access::Password { scope, user, password } => {
                format!(
                    "git {} as {}:{} for {scope}",
                    repository.url,
                    user.expose_secret(),
                    password.expose_secret()
                )
            }
            Access::Key(key) => format!("git {} with {}", repository.url, key.expose_secret()),
        },
        Err(error) => error.to_string(),
    }
}

#[test]
fn parses_every_form_of_address() {
    let cases = [
        ("/srv/infra", "folder /srv/infra"),
        ("file:///srv/in%20fra", "folder /srv/in fra"),
        ("/srv/infra.git", "git file:///srv/infra.git"),
        ("file:///srv/infra.git", "git file:///srv/infra.git"),
        (" https://host/a/b.git ", "git https://host/a/b.git"),
        ("https://me:p%40ss+x@host:8443/a", "git https://host:8443/a as me:p@ss+x for https://host:8443"),
        ("https://tok@host/a", "git https://host/a as tok: for https://host"),
        ("ssh://git@host:22/a", "git ssh://git@host:22/a"),
        ("git@host:a/b.git", "git git@host:a/b.git"),
        ("git://host/a", "git git://host/a"),
    ];
    for (source, expected) in cases {
        assert_eq!(describe(&payload(source, "PUBLIC", None, None)), expected);
    }
    for bad in
        ["", "relative/path", "./a:b", "ftp://host/a", "https://", "-oProxyCommand=x:y", "ext::sh -c x"]
    {
        let text = describe(&payload(bad, "PUBLIC", None, None));
        assert!(text.starts_with("source ") && text.contains("is not an address"), "{bad}: {text}");
    }
    let text = describe(&payload("ftp://me:secret@host/a", "PUBLIC", None, None));
    assert!(text.contains("ftp://…@host/a") && !text.contains("secret"), "{text}");
}

#[test]
fn credentials_follow_the_kind_of_host() {
    let cases = [
        ("GITHUB", Some("OAUTH"), "tok:"),
        ("GITHUB", Some("STANDALONE"), "x-access-token:tok"),
        ("GITHUB", None, "x-access-token:tok"),
        ("BITBUCKET", None, "x-token-auth:tok"),
        ("GITLAB", None, "oauth2:tok"),
        ("AZURE_DEVOPS", None, "dummy:tok"),
        ("AZURE_SP_MI", None, "dummy:tok"),
    ];
    for (vcs, connection, expected) in cases {
        let text = describe(&payload("https://host/a", vcs, connection, Some("tok\n")));
        assert_eq!(text, format!("git https://host/a as {expected} for https://host"), "{vcs}");
    }
    assert_eq!(describe(&payload("https://host/a", "PUBLIC", None, Some("tok"))), "git https://host/a");
    assert_eq!(describe(&payload("https://host/a", "GITLAB", None, Some(""))), "git https://host/a");
    let ssh = payload("git@host:a", "SSH~id_rsa", None, Some("KEY"));
    assert_eq!(describe(&ssh), "git git@host:a with KEY");
}

#[test]
fn archives_are_uploads_and_addresses_that_end_so() {
    let upload = |source: &str, token: Option<&str>| {
        let mut payload = payload(source, "PUBLIC", None, token);
        payload.branch = "remote-content".into();
        describe(&payload)
    };
    let content = "https://host/remote/tfe/v2/configuration-versions/1/terraformContent.tar.gz";
    assert_eq!(upload(content, None), format!("archive {content}"));
    assert_eq!(
        upload("https://host/v1/terraform-sources/1", Some("tok")),
        "archive https://host/v1/terraform-sources/1 with tok"
    );
    assert_eq!(upload("https://me:p%40ss@host/a", Some("tok")), "archive https://host/a as me:p@ss");
    for source in ["ssh://host/a", "git://host/a"] {
        let text = upload(source, None);
        assert!(text.contains("branch \"remote-content\""), "{text}");
    }
    for (source, expected) in [
        ("https://host/a.tar.gz", "archive https://host/a.tar.gz"),
        ("https://host/a.TGZ?version=1", "archive https://host/a.TGZ?version=1"),
        ("/srv/a.tar.gz", "archive /srv/a.tar.gz"),
        ("file:///srv/a.tgz", "archive /srv/a.tgz"),
        ("https://host/a.git?archive=a.tar.gz", "git https://host/a.git?archive=a.tar.gz"),
    ] {
        assert_eq!(describe(&payload(source, "PUBLIC", None, None)), expected);
    }
}

#[test]
fn finds_secrets_inside_address() {
    assert_eq!(secrets_in_address("https://me:p%40ss@host/a"), ["p%40ss", "p@ss"]);
    assert_eq!(secrets_in_address("ssh://me:p%40ss@host/a"), ["p%40ss", "p@ss"]);
    let token = "ghp_0123456789abcdefABCDEF";
    assert!(secrets_in_address(&format!("https://{token}@host/a")).contains(&token.to_owned()));
    assert!(secrets_in_address(&format!("https://{token}:@host/a")).contains(&token.to_owned()));
    let parameters = "https://host/a.git?private_token=a%2Fb&ref=v1&depth=1&empty=";
    assert_eq!(secrets_in_address(parameters), ["a%2Fb", "a/b"]);
    assert!(secrets_in_address("ssh://git@host/a").is_empty());
    assert!(secrets_in_address("/srv/infra").is_empty());
}

#[test]
fn name_in_front_of_a_host_is_no_secret() {
    for source in ["https://git@host/a", "https://tok@host/a", "git@host:a", "ssh://git@host/a"] {
        assert!(secrets_in_address(source).is_empty(), "{source}");
    }
}
