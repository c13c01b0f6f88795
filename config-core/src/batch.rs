//! The inputs of an executor in its environment: the batch flag and the payload, which `job-spec` decodes.

use std::fmt;

use crate::{EnvSnapshot, Origin, Problem, Problems, SourceName, keys};

/// The environment of an executor; `Debug` does not show the payload.
#[derive(Clone, PartialEq, Eq)]
pub struct BatchInput {
    /// The value of `EphemeralJobData`, base64 of JSON; not empty. Absent where the executor gets it when it
    /// claims its attempt.
    pub job_data: Option<String>,
}

impl BatchInput {
    /// Reads the inputs. Their names are also accepted in upper case.
    ///
    /// ```
    /// use config_core::{BatchInput, EnvSnapshot};
    /// let env: EnvSnapshot =
    ///     [("EphemeralFlagBatch", "true"), ("EphemeralJobData", "e30=")].into_iter().collect();
    /// assert_eq!(BatchInput::load(&env)?.job_data.as_deref(), Some("e30="));
    /// # Ok::<(), config_core::Problems>(())
    /// ```
    ///
    /// # Errors
    /// A flag that is not true; an empty payload, or none where there is no address to get it from. Both are
    /// reported together, without the payload.
    pub fn load(env: &EnvSnapshot) -> Result<Self, Problems> {
        let mut problems = Vec::new();
        let flag = find(env, keys::EPHEMERAL_FLAG_BATCH);
        if !flag.is_some_and(is_true) {
            let problem =
                Problem::new(origin(keys::EPHEMERAL_FLAG_BATCH), "true, because there is no mode but batch");
            problems.push(match flag {
                Some(found) => problem.with_found(found),
                None => problem.with_hint("it is not set"),
            });
        }
        let job_data = find(env, keys::EPHEMERAL_JOB_DATA);
        let from_claim = job_data.is_none() && env.get(keys::EPHEMERAL_ATTEMPT_URL).is_some();
        if !from_claim && job_data.is_none_or(|data| data.trim().is_empty()) {
            problems.push(
                Problem::new(
                    origin(keys::EPHEMERAL_JOB_DATA),
                    "the payload of a job: base64 of a JSON object",
                )
                .with_hint("it is not set or empty"),
            );
        }
        Problems::into_result(problems, Self { job_data: job_data.map(str::to_owned) })
    }
}

impl fmt::Debug for BatchInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { job_data } = self;
        let job_data = job_data.as_ref().map(|data| format!("<{} bytes>", data.len()));
        f.debug_struct("BatchInput").field("job_data", &job_data).finish()
    }
}

fn find<'a>(env: &'a EnvSnapshot, name: &str) -> Option<&'a str> {
    env.get(name).or_else(|| env.get(&name.to_ascii_uppercase()))
}

/// Spellings of true that Terrakube accepts.
fn is_true(text: &str) -> bool {
    ["true", "on", "yes", "1"].iter().any(|spelling| text.trim().eq_ignore_ascii_case(spelling))
}

fn origin(name: &str) -> Origin {
    Origin::new(SourceName::Environment, name)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn load(pairs: &[(&str, &str)]) -> Result<BatchInput, String> {
        BatchInput::load(&pairs.iter().copied().collect()).map_err(|problems| problems.to_string())
    }

    #[test]
    fn accepts_every_spelling_of_true() {
        for flag in ["true", "TRUE", " on ", "yes", "1"] {
            assert!(load(&[("EphemeralFlagBatch", flag), ("EphemeralJobData", "e30=")]).is_ok(), "{flag:?}");
        }
        assert!(load(&[("EPHEMERALFLAGBATCH", "true"), ("EPHEMERALJOBDATA", "e30=")]).is_ok());
    }

    #[test]
    fn reports_both_problems_together() {
        assert_eq!(
            load(&[]).unwrap_err(),
            "environment variable EphemeralFlagBatch: expected true, because there is no mode but batch; \
             it is not set\n\
             environment variable EphemeralJobData: expected the payload of a job: base64 of a JSON object; \
             it is not set or empty"
        );
        assert_eq!(
            load(&[("EphemeralFlagBatch", "false"), ("EphemeralJobData", "e30=")]).unwrap_err(),
            "environment variable EphemeralFlagBatch: found \"false\", expected true, \
             because there is no mode but batch"
        );
    }

    #[test]
    fn accepts_absent_payload_where_it_can_be_claimed() {
        let flag = ("EphemeralFlagBatch", "true");
        let url = ("EphemeralAttemptUrl", "http://api");
        assert_eq!(load(&[flag, url]).unwrap().job_data, None);
        assert_eq!(
            load(&[flag, url, ("EphemeralJobData", "e30=")]).unwrap().job_data.as_deref(),
            Some("e30=")
        );
        // An empty payload is an error of the program that set the variable.
        assert!(load(&[flag, url, ("EphemeralJobData", " ")]).is_err());
    }

    #[test]
    fn debug_does_not_show_payload() {
        let input = load(&[("EphemeralFlagBatch", "true"), ("EphemeralJobData", "c2VjcmV0")]).unwrap();
        assert_eq!(format!("{input:?}"), "BatchInput { job_data: Some(\"<8 bytes>\") }");
    }

    proptest! {
        #[test]
        fn reads_any_input_without_panic_and_shows_no_payload(flag in ".*", data in "[ \t\n]{0,3}") {
            let message = load(&[("EphemeralFlagBatch", &flag), ("EphemeralJobData", &data)]).unwrap_err();
            prop_assert!(message.contains("EphemeralJobData"));
        }
    }
}
