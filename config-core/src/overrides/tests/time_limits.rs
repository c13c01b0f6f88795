//! Deadline, grace period and time to live.

use super::*;
use crate::value::Seconds;

#[test]
fn reads_time_limits() {
    let overrides = parse(&[
        ("EPHEMERAL_CONFIG_DEADLINE", "1h30m"),
        ("EPHEMERAL_CONFIG_GRACE_PERIOD", " 90 "),
        ("EPHEMERAL_CONFIG_TTL", "0"),
    ])
    .unwrap();
    let limits = |overrides: &WorkspaceOverrides| {
        [overrides.deadline(), overrides.grace_period(), overrides.ttl()].map(Seconds::get)
    };
    assert_eq!(limits(&overrides), [5400, 90, 0]);
    assert_eq!(limits(&parse(&[]).unwrap()), [6 * 3600, 300, 3600]);
}

#[test]
fn rejects_invalid_time_limits() {
    let form = "expected whole seconds such as 3600, 90s, 30m or 1h30m";
    let cases = [
        (
            "EPHEMERAL_CONFIG_DEADLINE",
            " 0m ",
            "found \"0m\", expected at least 1 second; with 0 the step would be over before it starts"
                .to_owned(),
        ),
        (
            "EPHEMERAL_CONFIG_GRACE_PERIOD",
            "0",
            "found \"0\", expected at least 1 second; with 0 the executor would be \
             killed before it can save the state"
                .to_owned(),
        ),
        ("EPHEMERAL_CONFIG_DEADLINE", "", format!("found \"\", {form}")),
        ("EPHEMERAL_CONFIG_GRACE_PERIOD", "-1", format!("found \"-1\", {form}")),
        ("EPHEMERAL_CONFIG_TTL", "1d", format!("found \"1d\", {form}; did you mean \"24h\"?")),
        (
            "EPHEMERAL_CONFIG_TTL",
            "2147483648",
            "found \"2147483648\", expected at most 2147483647 seconds".to_owned(),
        ),
    ];
    for (key, value, message) in cases {
        assert_eq!(parse(&[(key, value)]).unwrap_err(), [format!("workspace variable {key}: {message}")]);
    }
    let least = [
        ("EPHEMERAL_CONFIG_DEADLINE", "1"),
        ("EPHEMERAL_CONFIG_GRACE_PERIOD", "1"),
        ("EPHEMERAL_CONFIG_TTL", "0"),
    ];
    assert!(parse(&least).is_ok());
}
