//! The input of an executor, as base64 and as the JSON inside.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use job_spec::EphemeralJobData;

use crate::{Target, text_of};

/// Stands where secrets stand in the seeds: it must never be found in an error.
const SECRET: &str = "hunter2";

pub(crate) const TARGET: Target = Target {
    name: "payload",
    longest: 1024,
    about: "a payload that is read is written and read as itself; an error shows no piece of it",
    seeds: || {
        let mut seeds = vec![JSON.to_owned(), STANDARD.encode(JSON)];
        seeds.push(JSON.replace("\"hunter2\"", "null"));
        seeds.push(JSON.replace("\"dev\"", "{\"hunter2\":[1.5e3,true]}"));
        seeds.push(STANDARD.encode(JSON).replace('J', "J\r\n "));
        seeds
    },
    run: |data| {
        // As it is, it reaches the reading of base64; encoded, that of JSON.
        decode(&text_of(data));
        decode(&STANDARD.encode(data));
    },
};

pub(crate) const JSON: &str = r#"{"commandList":[{"runtime":"BASH","script":"hunter2","priority":-1,"before":true,
"after":false,"verbose":true},{"runtime":"GROOVY"}],"type":"terraformPlan","organizationId":"acme","workspaceId":"dev",
"jobId":"42","stepId":"s","terraformVersion":"1.9.8","source":"https://a","branch":"main","folder":"/","vcsType":
"PUBLIC","connectionType":"OAUTH","accessToken":"hunter2","moduleSshKey":"hunter2","commitId":"c","refresh":true,
"refreshOnly":false,"showHeader":true,"ignoreError":false,"tofu":true,"environmentVariables":{"A":"hunter2","B":null},
"variables":{"x":"hunter2\u00e9\n"}}"#;

fn decode(text: &str) {
    match EphemeralJobData::decode(text) {
        Ok(payload) => {
            let encoded = payload.encode();
            assert!(!encoded.contains(char::is_whitespace), "one line");
            let again = EphemeralJobData::decode(&encoded).expect("what was written can be read");
            assert!(again == payload, "{payload:?}");
            assert_eq!(again.encode(), encoded);
            // The debug form shows ids and names of variables, which may hold anything.
            assert!(payload.access_token.is_none() || !format!("{payload:?}").contains("access_token"));
        }
        Err(error) => {
            let source = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
            let shown = format!("{error} {source} {error:?}");
            assert!(!shown.contains(SECRET), "{shown}");
            assert!(!shown.contains('\n'), "{shown}");
        }
    }
}
