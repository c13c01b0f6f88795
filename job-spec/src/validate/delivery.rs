//! How the payload gets to the executor: the first way that can carry it.

use config_core::{
    Origin, Problem, Sourced, keys, platform,
    value::{Deliveries, Delivery},
};

use super::{
    checks::{Checks, request},
    longest_env_value,
};
use crate::{AttemptAccess, EphemeralJobData, plan::PlannedPayload};

impl Checks<'_> {
    /// Chooses the way of delivery; `None` has left a problem behind.
    pub(super) fn payload(
        &mut self,
        deliveries: &Sourced<Deliveries>,
        payload: &EphemeralJobData,
        access: Option<&AttemptAccess>,
    ) -> Option<PlannedPayload> {
        let data = payload.encode();
        // The limit is that of one environment variable, whatever its value comes from.
        let fits = data.len() <= longest_env_value(keys::EPHEMERAL_JOB_DATA);
        let can_carry = |delivery: &Delivery| match delivery {
            Delivery::Env | Delivery::Secret => fits,
            Delivery::Claim => access.is_some(),
        };
        let Some(delivery) = deliveries.value.iter().find(can_carry) else {
            self.push(if fits {
                no_server_to_claim_from(&deliveries.origin)
            } else {
                too_large(data.len(), deliveries, access)
            });
            return None;
        };
        Some(PlannedPayload { delivery, data })
    }
}

fn too_large(bytes: usize, deliveries: &Sourced<Deliveries>, access: Option<&AttemptAccess>) -> Problem {
    let longest = longest_env_value(keys::EPHEMERAL_JOB_DATA);
    let shorten = "shorten scripts and variables of the workspace";
    let hint = match access {
        Some(_) => format!(
            "{shorten}, or let the operator allow delivery at the claim: {}={},{}",
            platform::PAYLOAD_DELIVERY.name(),
            deliveries.value,
            Delivery::Claim
        ),
        None => shorten.to_owned(),
    };
    Problem::new(
        request(keys::EPHEMERAL_JOB_DATA),
        format!("at most {longest} bytes, which is all that Linux takes in one environment variable"),
    )
    .with_found(&format!("{bytes} bytes"))
    .with_hint(hint)
}

fn no_server_to_claim_from(origin: &Origin) -> Problem {
    Problem::new(
        origin.clone(),
        "another way than claim for an executor that has no access to the api-server",
    )
    .with_found(Delivery::Claim.as_str())
}
