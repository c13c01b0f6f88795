//! Requests and limits of the workspace.

use super::*;
use crate::ResourceName;

#[test]
fn reads_amounts_of_each_resource() {
    let resources = parse(&[
        ("EPHEMERAL_CPU_REQUEST", "500m"),
        ("EPHEMERAL_CPU_LIMIT", "0.5"),
        ("EPHEMERAL_MEMORY_REQUEST", " 1G "),
        ("EPHEMERAL_MEMORY_LIMIT", "1Gi"),
        ("EPHEMERAL_STORAGE_LIMIT", "1e10"),
    ])
    .unwrap()
    .resources();
    let shown = |amounts: &BTreeMap<ResourceName, crate::value::Quantity>| -> Vec<String> {
        amounts.iter().map(|(name, amount)| format!("{}={amount}", name.as_str())).collect()
    };
    assert_eq!(shown(resources.requests()), ["cpu=500m", "memory=1G"]);
    assert_eq!(shown(resources.limits()), ["cpu=0.5", "ephemeral-storage=1e10", "memory=1Gi"]);
    assert!(parse(&[]).unwrap().resources().is_empty());
    for one in ["EPHEMERAL_CPU_REQUEST", "EPHEMERAL_CPU_LIMIT"] {
        assert!(!parse(&[(one, "1")]).unwrap().resources().is_empty(), "{one}");
    }
}

#[test]
fn lists_origins() {
    let overrides = parse(&[("EPHEMERAL_CPU_LIMIT", "1"), ("PVC_CLAIM_NAME", "a")]).unwrap();
    let found: Vec<&str> = overrides.origins().iter().map(|(name, _)| name).collect();
    assert_eq!(found, ["EPHEMERAL_CPU_LIMIT", "PVC_CLAIM_NAME"]);
}

#[test]
fn rejects_request_above_limit_with_both_values() {
    for (resource, request, limit) in
        [("CPU", "501m", "0.5"), ("MEMORY", "1Gi", "1G"), ("STORAGE", "2Ki", "2k")]
    {
        let (request_key, limit_key) =
            (format!("EPHEMERAL_{resource}_REQUEST"), format!("EPHEMERAL_{resource}_LIMIT"));
        assert_eq!(
            parse(&[(&request_key, request), (&limit_key, limit)]).unwrap_err(),
            [format!(
                "workspace variable {request_key}: found {request:?}, expected at most the limit, \
                 {limit_key}={limit}"
            )]
        );
        assert!(parse(&[(&request_key, limit), (&limit_key, limit)]).is_ok());
    }
}

#[test]
fn rejects_malformed_amounts_and_thousandths_of_bytes() {
    let form = "expected an amount such as 500m, 1.5 or 2Gi";
    let cases = [
        ("EPHEMERAL_CPU_LIMIT", "", format!("found \"\", {form}")),
        ("EPHEMERAL_MEMORY_LIMIT", "1GB", format!("found \"1GB\", {form}; did you mean \"1G\"?")),
        ("EPHEMERAL_CPU_REQUEST", "-1", "found \"-1\", expected an amount that is not negative".to_owned()),
        (
            "EPHEMERAL_MEMORY_REQUEST",
            "512m",
            "found \"512m\", expected a whole number of bytes; m means thousandths; did you mean \"512Mi\"?"
                .to_owned(),
        ),
        ("EPHEMERAL_STORAGE_LIMIT", "7u", "found \"7u\", expected a whole number of bytes".to_owned()),
    ];
    for (key, value, message) in cases {
        assert_eq!(parse(&[(key, value)]).unwrap_err(), [format!("workspace variable {key}: {message}")]);
    }
    for value in ["1.1Gi", "1000m", "0"] {
        assert!(parse(&[("EPHEMERAL_MEMORY_REQUEST", value)]).is_ok(), "{value}");
    }
}
