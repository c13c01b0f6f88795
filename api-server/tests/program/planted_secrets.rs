//! Twenty secrets of hard kinds, which the configuration prints in every way that it can: found in no log, no
//! answer, no database and no file that is left.

use std::path::{Path, PathBuf};

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use serde_json::{Value, json};

use super::support::{Server, Workspace, attempt, has_terraform};

/// Name, type in Terraform and value of each secret.
const SECRETS: [(&str, &str, &str); 20] = [
    ("passphrase", "string", "correct horse battery staple and seventeen purple elephants dancing slowly"),
    ("number", "number", "8675309421"),
    ("fraction", "number", "0031415926.5350"),
    ("json", "string", r#"{"type":"service_account","private_key_id":"9f1c0d2e8b7a","pin":90210445}"#),
    (
        "pem",
        "string",
        "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\nBKcwggSjAgEAAoIBAQDT\nzQ==\n-----END \
         PRIVATE KEY-----\n",
    ),
    ("base64", "string", "c2VjcmV0LWJ5dGVzLWluLWJhc2U2NA=="),
    ("double_quotes", "string", r#"say "open-sesame" to the door"#),
    ("single_quotes", "string", "it's-Bob's-password"),
    ("spaces", "string", "  leading  and   many    spaces "),
    ("unicode", "string", "pässwörd-mit-ümlauten-ß"),
    ("dollar", "string", "pa$$word-${not}-%{it}-$HOME"),
    ("backslash", "string", r"C:\new\table\secret-folder"),
    ("address", "string", "p@ss:w/rd?x=1&y=2#end"),
    ("markup", "string", "<key id='7'>&secret;</key>"),
    ("list", "list(string)", r#"["alpha-secret-one", "beta-secret-two"]"#),
    ("map", "map(string)", r#"{ user = "carol-the-admin", password = "hunter2-in-a-map" }"#),
    ("token", "string", "ghp_16C7e42F292c6912E7710c838347Ae178B4a"),
    ("tabs", "string", "column-one\tcolumn-two\tcolumn-three"),
    ("short", "string", "s3cr3t"),
    ("asterisks", "string", "***not-a-mask***"),
];

/// Prints a variable in every way that terraform and a shell have.
fn configuration() -> String {
    let printed = SECRETS.map(|(name, kind, _)| {
        let as_text = if kind.contains('(') {
            format!("jsonencode(var.{name})")
        } else {
            format!("tostring(var.{name})")
        };
        format!(
            r#"
variable "{name}" {{ type = {kind} }}
output "{name}" {{ value = var.{name} }}
check "{name}" {{
  assert {{
    condition     = length({as_text}) > 100000
    error_message = "Creating the database user failed, since ${{{as_text}}} was refused by the server, it says."
  }}
}}
resource "terraform_data" "{name}" {{
  input = {{ plain = var.{name}, encoded = base64encode("user:${{{as_text}}}\n"), address = urlencode({as_text}) }}
  provisioner "local-exec" {{
    environment = {{ VALUE = {as_text} }}
    command     = <<-EOT
      printf '%s\n' "$VALUE"
      printf 'user:%s\n' "$VALUE" | base64
      set -x; : "$VALUE"; set +x
      env | tail -n 40
      printf '%s' "$VALUE" | head -c 5; sleep 0.3; printf '%s' "$VALUE" | tail -c +6; echo
    EOT
  }}
}}
"#
        )
    });
    printed.concat()
}

#[tokio::test]
async fn twenty_secrets_of_hard_kinds_are_found_nowhere() {
    if !has_terraform() {
        return;
    }
    let server = Server::start();
    let workspace = server.workspace(&configuration()).await;
    for (name, kind, value) in SECRETS {
        let body = json!({
            "key": name, "value": value, "category": "TERRAFORM", "sensitive": true, "hcl": kind.contains('('),
        });
        server.create(&format!("/v1/workspaces/{}/variables", workspace.id), body).await;
        workspace.variable("ENV", &format!("PLANTED_{}", name.to_uppercase()), value, true).await;
    }
    let template = workspace.template(&["terraformPlan", "approval", "terraformApply"]).await;
    let id = workspace.job(&template).await;
    server.wait_for_status(id, "waitingApproval").await;
    server.post(&format!("/v1/jobs/{id}/approve"), Value::Null).await;
    let job = server.wait_for_status(id, "completed").await;

    let mut texts = answers(&server, &workspace, id, &job).await;
    let apply = &texts.iter().find(|(name, _)| name.ends_with("log of step 2")).unwrap().1;
    assert!(apply.contains("Apply complete!") && apply.matches("***").count() > 100, "{apply}");
    for path in files(server.folder.path()) {
        let content = std::fs::read(&path).unwrap_or_default();
        texts.push((path.display().to_string(), String::from_utf8_lossy(&content).into_owned()));
    }
    assert!(texts.len() > 25, "only {} texts were searched", texts.len());
    let found: Vec<String> = texts.iter().flat_map(|(name, text)| leaks(name, text)).collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// Every answer of the API about the workspace, except its state, which terraform reads.
async fn answers(server: &Server, workspace: &Workspace<'_>, id: i64, job: &Value) -> Vec<(String, String)> {
    let mut answers = Vec::new();
    for path in ["", "/variables", "/jobs", "/explanation", "/collections"] {
        let path = format!("/v1/workspaces/{}{path}", workspace.id);
        answers.push((path.clone(), server.text(&path).await));
    }
    answers.push(("job".to_owned(), server.text(&format!("/v1/jobs/{id}")).await));
    for step in [0, 2] {
        let attempt = attempt(job, step)["id"].as_str().unwrap();
        for (name, path) in [("log", "log"), ("stream", "log/stream"), ("Kubernetes Job", "kubernetes-job")] {
            let text = server.text(&format!("/v1/attempts/{attempt}/{path}")).await;
            assert!(!text.is_empty(), "{name}");
            answers.push((format!("{name} of step {step}"), text));
        }
    }
    answers
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

/// Finds secrets in a text, also where it is wrapped or indented.
fn leaks(name: &str, text: &str) -> Vec<String> {
    let compact = compact(text);
    let mut found = Vec::new();
    for (secret, kind, value) in SECRETS {
        let parts: Vec<&str> =
            if kind.contains('(') { value.split('"').skip(1).step_by(2).collect() } else { vec![value] };
        for part in parts {
            let json = Value::from(part).to_string();
            // Behind one, two and three bytes, without the characters that a neighbour has a part in.
            let encoded = ["x", "yz", "u:p"].map(|before| {
                let whole = STANDARD_NO_PAD.encode(format!("{before}{part}"));
                whole[4..whole.len() - 1].to_owned()
            });
            let lines = part.lines().filter(|line| line.len() >= 6).map(str::to_owned);
            let forms = [part.to_owned(), json.trim_matches('"').to_owned(), percent_encoded(part)];
            let needles = lines.chain(forms).chain(encoded);
            for needle in needles.map(|needle| self::compact(&needle)) {
                if let Some(at) = compact.find(&needle) {
                    let around = &compact[compact.floor_char_boundary(at.saturating_sub(40))..];
                    let around: String = around.chars().take(140).collect();
                    found.push(format!("{secret} is in {name}: {needle:?} in {around:?}"));
                }
            }
        }
    }
    found
}

/// As `urlencode` of terraform writes it.
fn percent_encoded(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b' ' => "+".to_owned(),
        byte if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}

fn compact(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace() && *c != '│').collect()
}

#[test]
fn search_finds_what_it_looks_for() {
    for (name, text) in [
        ("passphrase", "│ correct horse battery staple and seventeen\n│ purple elephants dancing slowly"),
        ("pem", "+ MIIEvQIBADANBgkqhkiG9w0BAQEFAASC"),
        ("token", "dXNlcjpnaHBfMTZDN2U0MkYyOTJjNjkxMkU3NzEwYzgzODM0N0FlMTc4QjRh"),
        ("map", "password = \"hunter2-in-a-map\""),
        ("address", "https://me:p%40ss%3Aw%2Frd%3Fx%3D1%26y%3D2%23end@host"),
        ("short", "dXNlcjpzM2NyM3Q="),
    ] {
        let found = leaks("x", text);
        assert!(found.iter().any(|found| found.starts_with(name)), "{name}: {found:?}");
    }
    assert!(leaks("x", "Apply complete!").is_empty());
}
