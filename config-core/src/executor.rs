//! Inputs of an executor, which it finds in its environment.

use crate::{keys, setting::Setting};

pub(crate) static ALL: &[Setting] = &[
    Setting {
        also: &["EPHEMERALFLAGBATCH"],
        grammar: "`true` (or `on`, `yes`, `1`)",
        default: Some("false"),
        example: "true",
        summary: "Makes the executor run one attempt and exit; it has no other mode.",
        ..Setting::executor(keys::EPHEMERAL_FLAG_BATCH)
    },
    Setting {
        also: &["EPHEMERALJOBDATA"],
        grammar: "base64 of a JSON object",
        example: "eyJqb2JJZCI6IjQyIiwi…",
        summary: "The payload: everything that the executor needs to run the step. Where it is absent, the \
                  executor requests it when it claims its attempt.",
        ..Setting::executor(keys::EPHEMERAL_JOB_DATA)
    },
    Setting {
        grammar: "`http://` or `https://` address",
        example: "https://api.example.com/executor/v1/attempts/019a…",
        summary: "The address of the attempt at the api-server.",
        ..Setting::executor(keys::EPHEMERAL_ATTEMPT_URL)
    },
    Setting {
        grammar: "printable ASCII characters",
        example: "attempt-…",
        summary: "The token of the attempt, valid for this attempt alone and only while it is live.",
        ..Setting::executor(keys::EPHEMERAL_ATTEMPT_TOKEN)
    },
    Setting {
        grammar: "number of seconds",
        example: "300",
        summary: "The grace period of the pod. The executor divides it: terraform ends what it has begun and \
                  saves its state, then what it has left, the log and the result are delivered. Where it is \
                  absent, terraform is not ended early.",
        ..Setting::executor(keys::EPHEMERAL_GRACE_PERIOD)
    },
    Setting {
        grammar: "absolute path of a file that exists",
        default: Some("/dev/termination-log"),
        example: "/dev/termination-log",
        summary: "The file in which the executor leaves a message about its end.",
        ..Setting::executor(keys::EPHEMERAL_TERMINATION_LOG)
    },
];
