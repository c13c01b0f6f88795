//! Each format of a list.

use super::*;

const LINUX: Platform = Platform { os: "linux", arch: "amd64" };

fn urls(release: &Release) -> Vec<&str> {
    release.folders.iter().map(Url::as_str).collect()
}

#[test]
fn reads_the_list_of_hashicorp() {
    let text = r#"{"name":"terraform","versions":{
        "1.9.8":{"name":"terraform","version":"1.9.8","shasums":"terraform_1.9.8_SHA256SUMS",
          "shasums_signature":"terraform_1.9.8_SHA256SUMS.sig",
          "shasums_signatures":["terraform_1.9.8_SHA256SUMS.72D7468F.sig","terraform_1.9.8_SHA256SUMS.sig"],
          "builds":[{"os":"darwin","arch":"amd64","filename":"x.zip","url":"https://a/x.zip"},
            {"os":"linux","arch":"amd64","filename":"terraform_1.9.8_linux_amd64.zip",
             "url":"https://releases.hashicorp.com/terraform/1.9.8/terraform_1.9.8_linux_amd64.zip"}]},
        "1.9.8+ent":{"builds":[{"os":"linux","arch":"amd64","filename":"e.zip","url":"https://a/e.zip"}]},
        "0.1.0":{"builds":[{"os":"linux","arch":"386","filename":"f.zip","url":"https://a/f.zip"}]},
        "9.9.9":{"builds":[{"os":"linux","arch":"amd64","filename":"../../f.zip","url":"https://a/f.zip"}]},
        "other":{}}}"#;
    let original = Url::parse("https://releases.hashicorp.com/terraform/index.json").unwrap();
    let releases = parse(Engine::Terraform, LINUX, text.as_bytes(), &original).unwrap();
    let [release] = releases.as_slice() else { panic!("{releases:?}") };
    assert_eq!(urls(release), ["https://releases.hashicorp.com/terraform/1.9.8/"]);
    assert_eq!(
        (release.archive.as_str(), release.checksums.as_str()),
        ("terraform_1.9.8_linux_amd64.zip", "terraform_1.9.8_SHA256SUMS")
    );
    let signatures = ["terraform_1.9.8_SHA256SUMS.sig", "terraform_1.9.8_SHA256SUMS.72D7468F.sig"];
    assert_eq!(release.signatures, signatures);

    let mirror = Url::parse("http://mirror.example/repo/terraform/index.json").unwrap();
    let releases = parse(Engine::Terraform, LINUX, text.as_bytes(), &mirror).unwrap();
    let both =
        ["http://mirror.example/repo/terraform/1.9.8/", "https://releases.hashicorp.com/terraform/1.9.8/"];
    assert_eq!(urls(&releases[0]), both);
}

#[test]
fn reads_the_releases_of_github_and_the_list_of_opentofu() {
    let github = r#"[{"tag_name":"v1.10.6","name":"v1.10.6","assets":[
        {"name":"tofu_1.10.6_linux_arm64.zip","browser_download_url":"https://x/a.zip"},
        {"name":"tofu_1.10.6_linux_amd64.zip",
         "browser_download_url":"https://github.com/o/o/releases/download/v1.10.6/tofu_1.10.6_linux_amd64.zip"}]},
        {"name":"nightly","assets":[]},{"name":"v1.6.0-beta1","assets":[]}]"#;
    let api = Url::parse("http://terrakube-api:8080/tofu/index.json").unwrap();
    let releases = parse(Engine::Tofu, LINUX, github.as_bytes(), &api).unwrap();
    let [release] = releases.as_slice() else { panic!("{releases:?}") };
    assert_eq!(
        urls(release),
        ["http://terrakube-api:8080/tofu/v1.10.6/", "https://github.com/o/o/releases/download/v1.10.6/"]
    );
    assert_eq!(release.checksums, "tofu_1.10.6_SHA256SUMS");
    assert_eq!(release.signatures, ["tofu_1.10.6_SHA256SUMS.gpgsig"]);

    let own =
        r#"{"versions":[{"id":"1.10.6","files":["tofu_1.10.6_linux_amd64.zip"]},{"id":"1.0.0","files":[]}]}"#;
    let original = Url::parse("https://get.opentofu.org/tofu/api.json").unwrap();
    let releases = parse(Engine::Tofu, LINUX, own.as_bytes(), &original).unwrap();
    assert_eq!(releases.len(), 1);
    assert_eq!(urls(&releases[0]), ["https://github.com/opentofu/opentofu/releases/download/v1.10.6/"]);
}

#[test]
fn other_documents_are_no_list() {
    let index = Url::parse("http://mirror.example/index.json").unwrap();
    for text in ["<html>", "{}", "7", r#"{"versions":7}"#, ""] {
        assert_eq!(parse(Engine::Terraform, LINUX, text.as_bytes(), &index), None, "{text}");
    }
}

#[test]
fn file_names_of_a_folder_say_the_version() {
    let folder = Url::parse("file:///mirror/").unwrap();
    let found = |name| {
        by_file_name(Engine::Terraform, LINUX, name, &folder).map(|release| release.version.to_string())
    };
    assert_eq!(found("terraform_1.9.8_linux_amd64.zip").as_deref(), Some("1.9.8"));
    for other in ["terraform_1.9.8_linux_arm64.zip", "tofu_1.9.8_linux_amd64.zip", "terraform.zip"] {
        assert_eq!(found(other), None, "{other}");
    }
}
