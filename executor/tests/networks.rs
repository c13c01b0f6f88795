//! Networks of companies: proxies, certificates of private authorities, settings of git.

use std::{fs, path::PathBuf};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use job_spec::StepType;

use crate::support::{
    Bench, engine,
    git::{GitServer, commit, tls_in_front},
    have,
    providers::{TIME, install_by, network, serve_time},
    proxy::{Answer, HOST, Proxy},
    releases::Releases,
};

/// A git server and a server of releases and providers, both over https with one private authority.
struct Services {
    git: GitServer,
    git_url: String,
    git_port: u16,
    releases: Releases,
    releases_port: u16,
    /// The certificates of both authorities.
    authorities: String,
}

fn port(url: &str) -> u16 {
    url.rsplit(':').next().unwrap().parse().unwrap()
}

async fn services(bench: &Bench) -> Services {
    let git = GitServer::start(&bench.folder("git")).await;
    let releases = Releases::start().await;
    let (git_url, first) = git.with_tls(&bench.folder("tls-of-git")).await;
    let (url, second) = tls_in_front(port(&releases.address), &bench.folder("tls-of-releases")).await;
    let read = |path: PathBuf| fs::read_to_string(path).unwrap();
    let (git_port, releases_port) = (port(&git_url), port(&url));
    Services { git, git_url, git_port, releases, releases_port, authorities: read(first) + &read(second) }
}

/// A configuration with a module from git, and a provider.
fn configuration(module: &str, with_provider: bool) -> String {
    let provider = if with_provider { TIME } else { "" };
    format!("module \"names\" {{\n  source = \"git::{module}\"\n}}\n{provider}")
}

const MODULE: &str = "output \"name\" {\n  value = \"from the module\"\n}\n";

async fn message(bench: &mut Bench) -> String {
    let exit = bench.run(StepType::TerraformPlan).await;
    assert_eq!(exit.code, Some(10), "{exit:#?}");
    let message = bench.server.result().message.unwrap();
    assert!(!message.contains("hunter2") && !exit.stderr.contains("hunter2"), "{message}");
    message
}

#[tokio::test]
async fn everything_but_the_api_goes_through_the_proxy_in_every_spelling() {
    if !["terraform", "git", "openssl"].into_iter().all(have) {
        return;
    }
    for (name, of_workspace) in
        [("HTTPS_PROXY", false), ("https_proxy", true), ("ALL_PROXY", false), ("all_proxy", true)]
    {
        let mut bench = Bench::new("").await;
        let services = services(&bench).await;
        let proxy = Proxy::start(Answer::Connect).await;
        let with_provider = serve_time(&services.releases).is_some();
        let root = bench.folder("git");
        commit(&root.join("module.git"), &[("main.tf", MODULE)]);
        let at_host = |port: u16| format!("https://{HOST}:{port}");
        let module = format!("{}/module.git", at_host(services.git_port));
        commit(&root.join("infra.git"), &[("main.tf", &configuration(&module, with_provider))]);
        bench.payload.source = format!("{}/infra.git", at_host(services.git_port));
        bench.payload.branch = "main".into();
        install_by(&mut bench, &network(&format!("{}/mirror/", at_host(services.releases_port))));
        services.releases.add("9.9.8");
        bench.payload.terraform_version = "9.9.8".into();
        let list = format!("{}/releases/index.json", at_host(services.releases_port));
        let setting = if engine() == "tofu" { "CustomTofuReleasesUrl" } else { "CustomTerraformReleasesUrl" };
        bench.extra_env.insert(setting.into(), list);
        // The one of the workspace is not for downloads into the cache, which is shared.
        bench.extra_env.insert("HTTPS_PROXY".into(), proxy.url.clone());
        // Would reach the api-server, if it had a proxy.
        bench.extra_env.insert("HTTP_PROXY".into(), proxy.url.clone());
        bench.extra_env.insert("SSL_CERT_FILE".into(), services.authorities.clone());
        if name.eq_ignore_ascii_case("ALL_PROXY") && !of_workspace {
            bench.extra_env.remove("HTTPS_PROXY");
        }
        let variables =
            if of_workspace { &mut bench.payload.environment_variables } else { &mut bench.extra_env };
        variables.insert(name.into(), proxy.url.clone());
        let exit = bench.run(StepType::TerraformPlan).await;
        assert_eq!(exit.code, Some(0), "{name}: {exit:#?}");
        assert!(bench.server.log().contains("release 9.9.8 runs"), "{}", bench.server.log());
        let requests = proxy.requests();
        let count = |port: u16| {
            let line = format!("CONNECT {HOST}:{port} ");
            requests.iter().filter(|(request, password)| *password && request.starts_with(&line)).count()
        };
        assert!(count(services.git_port) >= 2 && count(services.releases_port) >= 1, "{name}: {requests:#?}");
        assert!(requests.iter().all(|(line, _)| line.contains(HOST)), "{name}: {requests:#?}");
    }
}

#[tokio::test]
async fn hosts_of_no_proxy_are_reached_without_it() {
    if !["terraform", "git", "openssl"].into_iter().all(have) {
        return;
    }
    let mut bench = Bench::new("").await;
    let services = services(&bench).await;
    let proxy = Proxy::start(Answer::Refuse).await;
    commit(&bench.folder("git").join("infra.git"), &[("main.tf", "output \"x\" {\n  value = 1\n}\n")]);
    // By its name, the loopback interface is no exception for every program.
    bench.payload.source = format!("https://localhost:{}/infra.git", services.git_port);
    bench.payload.branch = "main".into();
    for name in ["HTTPS_PROXY", "HTTP_PROXY"] {
        bench.extra_env.insert(name.into(), proxy.url.clone());
    }
    bench.extra_env.insert("no_proxy".into(), "other.example, localhost".into());
    bench.extra_env.insert("SSL_CERT_FILE".into(), services.authorities.clone());
    let exit = bench.run(StepType::TerraformPlan).await;
    assert_eq!(exit.code, Some(0), "{exit:#?}");
    assert_eq!(proxy.requests(), Vec::new());
    assert!(!services.git.with(|behavior| behavior.requests.clone()).is_empty());
}

#[tokio::test]
async fn proxy_that_refuses_or_closes_is_named() {
    if !["terraform", "git", "openssl"].into_iter().all(have) {
        return;
    }
    for answer in [Answer::Refuse, Answer::Hang] {
        let mut bench = Bench::new(TIME).await;
        let proxy = Proxy::start(answer).await;
        bench.extra_env.insert("HTTPS_PROXY".into(), proxy.url.clone());
        // Providers.
        install_by(&mut bench, &network(&format!("https://{HOST}:1/mirror/")));
        let text = message(&mut bench).await;
        let expected = format!("init failed with exit code 1 with the proxy {}", proxy.shown);
        assert!(text.contains(&expected), "{text}");
        // Releases.
        let setting = if engine() == "tofu" { "CustomTofuReleasesUrl" } else { "CustomTerraformReleasesUrl" };
        bench.extra_env.insert(setting.into(), format!("https://{HOST}:1/index.json"));
        bench.payload.terraform_version = "9.9.8".into();
        let text = message(&mut bench).await;
        let expected =
            format!("could not reach https://{HOST}:1/index.json through the proxy {}", proxy.shown);
        assert!(text.contains(&expected), "{text}");
        // The source.
        bench.payload.source = format!("https://{HOST}:1/infra.git");
        let text = message(&mut bench).await;
        assert!(text.contains(&format!("with the proxy {}: git could not", proxy.shown)), "{text}");
    }
}

#[tokio::test]
async fn one_setting_gives_private_authorities_to_everything() {
    if !["terraform", "git", "openssl"].into_iter().all(have) {
        return;
    }
    // In the pod or in the workspace; as a file or as text.
    for (of_workspace, as_text) in [(false, false), (false, true), (true, false), (true, true)] {
        let mut bench = Bench::new("").await;
        let services = services(&bench).await;
        let with_provider = serve_time(&services.releases).is_some();
        let root = bench.folder("git");
        commit(&root.join("module.git"), &[("main.tf", MODULE)]);
        let module = format!("{}/module.git", services.git_url);
        commit(&root.join("infra.git"), &[("main.tf", &configuration(&module, with_provider))]);
        bench.payload.source = format!("{}/infra.git", services.git_url);
        bench.payload.branch = "main".into();
        install_by(&mut bench, &network(&format!("https://127.0.0.1:{}/mirror/", services.releases_port)));
        let text = message(&mut bench).await;
        assert!(text.contains("the certificate of the server is not trusted"), "{text}");

        let seen = bench.folder("seen");
        bench.wrap_terraform(&format!("cat \"$SSL_CERT_FILE\" > {}/bundle", seen.display()));
        let file = bench.folder("home").join("authorities.pem");
        fs::write(&file, &services.authorities).unwrap();
        let value = if as_text { services.authorities.clone() } else { file.to_str().unwrap().to_owned() };
        let variables =
            if of_workspace { &mut bench.payload.environment_variables } else { &mut bench.extra_env };
        variables.insert("SSL_CERT_FILE".into(), value);
        let exit = bench.run(StepType::TerraformPlan).await;
        assert_eq!(exit.code, Some(0), "{exit:#?}");
        // Those of the system stay.
        let count = |text: &str| text.matches("BEGIN CERTIFICATE").count();
        let system = fs::read_to_string("/etc/ssl/certs/ca-certificates.crt").unwrap_or_default();
        let bundle = fs::read_to_string(seen.join("bundle")).unwrap();
        assert_eq!(count(&bundle), count(&system) + 2);
    }
}

#[tokio::test]
async fn faulty_file_of_authorities_is_named() {
    if !have("git") {
        return;
    }
    let mut bench = Bench::new("output \"x\" {\n  value = 1\n}\n").await;
    for (value, expected) in [
        ("/nowhere/ca.pem", "could not read \"/nowhere/ca.pem\", which SSL_CERT_FILE names: "),
        ("certs/ca.pem", "SSL_CERT_FILE is no certificate, expected the absolute path"),
    ] {
        bench.payload.environment_variables.insert("SSL_CERT_FILE".into(), value.into());
        let text = message(&mut bench).await;
        assert!(text.contains(expected), "{text}");
    }
}

#[tokio::test]
async fn api_server_may_have_a_private_authority() {
    if !["terraform", "openssl"].into_iter().all(have) {
        return;
    }
    let mut bench = Bench::new("output \"x\" {\n  value = 1\n}\n").await;
    let plain = bench.server.attempt_url();
    let address = plain.split('/').nth(2).unwrap().to_owned();
    let (url, authority) = tls_in_front(port(&address), &bench.folder("tls")).await;
    bench.extra_env.insert("EphemeralAttemptUrl".into(), plain.replace(&format!("http://{address}"), &url));
    bench.extra_env.insert("SSL_CERT_FILE".into(), authority.to_str().unwrap().into());
    let exit = bench.run(StepType::TerraformPlan).await;
    assert_eq!(exit.code, Some(0), "{exit:#?}");
}

#[tokio::test]
async fn settings_of_the_workspace_for_git_reach_the_fetch_of_the_source() {
    if !["terraform", "git"].into_iter().all(have) {
        return;
    }
    let mut bench = Bench::new("").await;
    let server = GitServer::start(&bench.folder("git")).await;
    server.with(|behavior| behavior.credential = Some(("team".into(), "word".into())));
    commit(&bench.folder("git").join("infra.git"), &[("main.tf", "output \"x\" {\n  value = 1\n}\n")]);
    bench.payload.source = "https://git.corp.example/infra.git".into();
    bench.payload.branch = "main".into();
    let header = format!("Authorization: Basic {}", STANDARD.encode("team:word"));
    let ran = bench.folder("home").join("ran");
    let settings = [
        (format!("url.{}/.insteadOf", server.url), "https://git.corp.example/".to_owned()),
        ("http.extraHeader".to_owned(), header),
        ("credential.helper".to_owned(), format!("!touch {}", ran.display())),
    ];
    let variables = &mut bench.payload.environment_variables;
    variables.insert("GIT_CONFIG_COUNT".into(), settings.len().to_string());
    for (number, (key, value)) in settings.into_iter().enumerate() {
        variables.insert(format!("GIT_CONFIG_KEY_{number}"), key);
        variables.insert(format!("GIT_CONFIG_VALUE_{number}"), value);
    }
    let exit = bench.run(StepType::TerraformPlan).await;
    assert_eq!(exit.code, Some(0), "{exit:#?}");
    let log = bench.server.log();
    assert!(log.contains("without the setting \"credential.helper\" of the workspace"), "{log}");
    assert!(!ran.exists());
}
