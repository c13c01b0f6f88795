//! Which way of delivery is taken, and what is refused.

use config_core::value::Delivery;

use super::*;

/// A payload whose encoded form has exactly that many bytes, a multiple of four.
fn payload_of(encoded: usize) -> EphemeralJobData {
    let mut data = payload();
    let json = serde_json::to_vec(&data).unwrap().len();
    data.source = "x".repeat(encoded / 4 * 3 - json);
    assert_eq!(data.encode().len(), encoded);
    data
}

fn request(delivery: &str, encoded: usize, access: bool) -> Request {
    let env = [("ExecutorEphemeralPayloadDelivery", delivery)].into_iter().collect();
    Request {
        settings: EphemeralSettings::load(&env).unwrap(),
        payload: payload_of(encoded),
        access: access.then(|| AttemptAccess::new("https://api.example.com/a", "token")),
        ..Request::default()
    }
}

// 131,054 is no multiple of four, so the longest base64 text is two bytes shorter.
const LONGEST: usize = 131_052;

#[test]
fn chooses_first_possible_delivery() {
    assert_eq!(longest_env_value("EphemeralJobData"), 131_054);
    for (deliveries, encoded, access, expected) in [
        ("env", LONGEST, false, Delivery::Env),
        ("env,claim", LONGEST, true, Delivery::Env),
        ("env,claim", LONGEST + 4, true, Delivery::Claim),
        ("secret", LONGEST, false, Delivery::Secret),
        ("secret,claim", LONGEST + 4, true, Delivery::Claim),
        ("secret,env,claim", LONGEST + 4, true, Delivery::Claim),
        ("claim,env", 4000, true, Delivery::Claim),
        ("claim,env", 4000, false, Delivery::Env),
        ("claim,secret", LONGEST, false, Delivery::Secret),
    ] {
        let plan = request(deliveries, encoded, access).validate().unwrap();
        assert_eq!(plan.delivery(), expected, "{deliveries} {encoded} {access}");
        assert_eq!(plan.secret().is_some(), expected == Delivery::Secret);
        let claimed = plan.payload_for_claim().map(str::len);
        assert_eq!(claimed, (expected == Delivery::Claim).then_some(encoded));
    }
}

#[test]
fn rejects_payload_too_large_for_every_delivery() {
    let message = |deliveries, access| request(deliveries, LONGEST + 4, access).messages();
    let refused = "job request EphemeralJobData: found \"131056 bytes\", expected at most 131054 bytes, \
                   which is all that Linux takes in one environment variable; \
                   shorten scripts and variables of the workspace";
    assert_eq!(message("env", false), [refused]);
    assert_eq!(message("env,claim", false), [refused]);
    assert_eq!(
        message("env,secret", true),
        [format!(
            "{refused}, or let the operator allow delivery at the claim: \
             ExecutorEphemeralPayloadDelivery=env,secret,claim"
        )]
    );
}

#[test]
fn rejects_claim_delivery_without_access() {
    assert_eq!(
        request("claim", 4000, false).messages(),
        ["environment variable ExecutorEphemeralPayloadDelivery: found \"claim\", expected another way \
             than claim for an executor that has no access to the api-server"]
    );
}

#[test]
fn spec_hash_covers_payload_in_secret() {
    let hash = |encoded| {
        let plan = request("secret", encoded, false).validate().unwrap();
        plan.job().metadata.annotations.unwrap()[crate::labels::SPEC_HASH].clone()
    };
    assert_eq!(hash(4000), hash(4000));
    assert_ne!(hash(4000), hash(4004));
}
