//! Deadline, grace period and time to live.

use super::*;
use crate::value::Seconds;

#[test]
fn time_limits_are_read() {
    let limits = parse(&[
        ("EPHEMERAL_CONFIG_DEADLINE", "1h30m"),
        ("EPHEMERAL_CONFIG_GRACE_PERIOD", " 90 "),
        ("EPHEMERAL_CONFIG_TTL", "0"),
    ])
    .unwrap()
    .time_limits;
    assert_eq!(limits.deadline().map(Seconds::get), Some(5400));
    assert_eq!(limits.grace_period().map(Seconds::get), Some(90));
    assert_eq!(limits.ttl().map(Seconds::get), Some(0));
    assert_eq!(parse(&[]).unwrap().time_limits, TimeLimits::default());
}

#[test]
fn time_limits_must_leave_time_to_work_and_to_stop() {
    let form = "expected whole seconds such as 3600, 90s, 30m or 1h30m";
    let cases = [
        (
            "EPHEMERAL_CONFIG_DEADLINE",
            " 0m ",
            "found \"0m\", expected at least 1 second; with 0 the step would be over before it starts".to_owned(),
        ),
        (
            "EPHEMERAL_CONFIG_GRACE_PERIOD",
            "0",
            "found \"0\", expected at least 1 second; with 0 the executor would be killed before it can save the state"
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

#[test]
fn the_reference_page_says_what_holds_where_no_limit_is_set() {
    let default = |name: &str| {
        let setting = keys::settings().find(|setting| setting.name == name);
        setting.and_then(|setting| setting.default).map(str::to_owned)
    };
    for (name, limit) in [
        (keys::CONFIG_DEADLINE, TimeLimits::DEFAULT_DEADLINE),
        (keys::CONFIG_GRACE_PERIOD, TimeLimits::DEFAULT_GRACE_PERIOD),
        (keys::CONFIG_TTL, TimeLimits::DEFAULT_TTL),
    ] {
        assert_eq!(default(name), Some(limit.to_string()), "{name}");
    }
}
