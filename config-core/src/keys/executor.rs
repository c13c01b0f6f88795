//! The environment of an executor, described.
//!
//! Data only, for the reference page; what a value means is decided where it is read.

use super::{
    EPHEMERAL_ATTEMPT_TOKEN, EPHEMERAL_ATTEMPT_URL, EPHEMERAL_FLAG_BATCH, EPHEMERAL_JOB_DATA, Place, Setting,
};

pub(super) const SETTINGS: &[Setting] = &[
    Setting {
        name: EPHEMERAL_FLAG_BATCH,
        place: Place::Executor,
        also: &["EPHEMERALFLAGBATCH"],
        grammar: "`true` (or `on`, `yes`, `1`)",
        default: Some("false"),
        example: "true",
        since: "0.1.0",
        permission: false,
        summary: "Makes the executor run one attempt and end; it has no other mode.",
    },
    Setting {
        name: EPHEMERAL_JOB_DATA,
        place: Place::Executor,
        also: &["EPHEMERALJOBDATA"],
        grammar: "base64 of a JSON object",
        default: None,
        example: "eyJqb2JJZCI6IjQyIiwi…",
        since: "0.1.0",
        permission: false,
        summary: "The payload: everything that the executor needs to run the step. Where it is absent, the executor asks for it when it claims its attempt.",
    },
    Setting {
        name: EPHEMERAL_ATTEMPT_URL,
        place: Place::Executor,
        permission: false,
        also: &[],
        grammar: "`http://` or `https://` address",
        default: None,
        example: "https://api.example.com/executor/v1/attempts/019a…",
        since: "0.1.0",
        summary: "The address of the attempt at the api-server.",
    },
    Setting {
        name: EPHEMERAL_ATTEMPT_TOKEN,
        place: Place::Executor,
        permission: false,
        also: &[],
        grammar: "printable ASCII characters",
        default: None,
        example: "attempt-…",
        since: "0.1.0",
        summary: "The attempt's token, good for this attempt alone and only as long as it is live.",
    },
];
