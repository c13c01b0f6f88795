//! What a request may cost: the limits of bodies, texts and times, and the page that lists them.

use std::{fmt::Write as _, time::Duration};

use crate::connections::Limits;

/// Body of a request of a user.
pub(crate) const USER_BODY: usize = 1024 * 1024;
/// Body of a claim.
pub(crate) const CLAIM_BODY: usize = 4 * 1024;
/// One piece of a log.
pub(crate) const LOG_BODY: usize = 1024 * 1024;
/// Body of the report of an executor.
pub(crate) const RESULT_BODY: usize = 64 * 1024;
/// The list of what a plan step leaves behind.
pub(crate) const BUNDLE_BODY: usize = 1024 * 1024;
/// A plan file, a state, or an archive of what a plan step leaves behind.
pub(crate) const UPLOAD: u64 = 256 * 1024 * 1024;
/// Body of a request that locks or unlocks a state.
pub(crate) const LOCK_BODY: u64 = 64 * 1024;

/// The longest time for a whole body.
pub(crate) const BODY_TIMEOUT: Duration = Duration::from_mins(15);
/// The longest time between two pieces of a body.
pub(crate) const BODY_IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// Characters of the name of an organization, a workspace, a template or a collection.
pub(crate) const NAME_CHARS: usize = 90;
/// Source or folder of a workspace.
pub(crate) const PATH: usize = 2048;
/// Branch or tag.
pub(crate) const BRANCH: usize = 255;
/// Version of terraform or tofu.
pub(crate) const VERSION: usize = 64;
/// Key of a variable.
pub(crate) const VARIABLE_KEY: usize = 256;
/// Characters of the note of a decision.
pub(crate) const NOTE_CHARS: usize = 2000;
/// Id of an executor. Longer ones are refused, because a shortened one would be another one.
pub(crate) const EXECUTOR_ID: usize = 128;

/// Host name of an executor. This text and the next ones are cut off when they are longer: a report is never
/// lost for its length.
pub(crate) const HOST: usize = 253;
/// Message of an executor, or a path in it.
pub(crate) const MESSAGE: usize = 8 * 1024;
/// Commit, or name of a phase.
pub(crate) const REPORTED_NAME: usize = 256;
/// Timings of phases in one report.
pub(crate) const TIMINGS: usize = 64;

/// Clients that follow logs at the same time.
pub(crate) const FOLLOWERS: usize = 1024;

/// Returns the page `limits.md` of the reference.
#[must_use]
pub fn reference_page() -> String {
    let mut page = String::from(
        "# Limits of the API\n\nGenerated from the code of `api-server`; `cargo xtask docs` writes it. Sizes \
         are those of the text in UTF-8. Texts that have no row are bounded by the body that holds \
         them.\n\n| what | at most | beyond it |\n|---|---|---|\n",
    );
    for (what, limit, beyond) in rows() {
        let _ = writeln!(page, "| {what} | {limit} | {beyond} |");
    }
    page.push_str(
        "\nA connection is unproven until one of its requests has had a valid token. The token is checked \
         before a byte of the body is read.\n",
    );
    page
}

fn rows() -> Vec<(&'static str, String, &'static str)> {
    const TOO_LARGE: &str = "413";
    const INVALID: &str = "422";
    const CUT: &str = "cut off";
    const CLOSED: &str = "the connection is closed";
    let connections = Limits::default();
    vec![
        ("body of a request of a user", size(USER_BODY as u64), TOO_LARGE),
        ("plan file, state, part of a bundle", size(UPLOAD), TOO_LARGE),
        ("bundle of a plan", size(BUNDLE_BODY as u64), TOO_LARGE),
        ("body that locks a state", size(LOCK_BODY), TOO_LARGE),
        ("body of a claim", size(CLAIM_BODY as u64), TOO_LARGE),
        ("piece of a log", size(LOG_BODY as u64), TOO_LARGE),
        ("report of an executor", size(RESULT_BODY as u64), TOO_LARGE),
        ("time for a body", time(BODY_TIMEOUT), "408"),
        ("time between two pieces of a body", time(BODY_IDLE_TIMEOUT), "408"),
        ("`name`", format!("{NAME_CHARS} characters"), INVALID),
        ("`source`, `folder`", size(PATH as u64), INVALID),
        ("`branch`", size(BRANCH as u64), INVALID),
        ("`terraformVersion`", size(VERSION as u64), INVALID),
        ("`key` of a variable", size(VARIABLE_KEY as u64), INVALID),
        ("`note` of a decision", format!("{NOTE_CHARS} characters"), INVALID),
        ("`executorId`", size(EXECUTOR_ID as u64), INVALID),
        ("`host` of an executor", size(HOST as u64), CUT),
        ("`message` of an executor, path of a rescued state", size(MESSAGE as u64), CUT),
        ("`commit`, `phase`", size(REPORTED_NAME as u64), CUT),
        ("timings in a report", TIMINGS.to_string(), CUT),
        ("clients that follow logs", FOLLOWERS.to_string(), "503"),
        ("connections", connections.connections.to_string(), "the next ones wait"),
        ("unproven connections", connections.unproven.to_string(), "the oldest is closed"),
        ("time for the head of a request, and between two requests", time(connections.head), CLOSED),
        ("time in which a client reads nothing", time(connections.stalled_write), CLOSED),
    ]
}

fn size(bytes: u64) -> String {
    match bytes {
        _ if bytes >= 1024 * 1024 && bytes.is_multiple_of(1024 * 1024) => format!("{} MiB", bytes >> 20),
        _ if bytes >= 1024 && bytes.is_multiple_of(1024) => format!("{} KiB", bytes >> 10),
        _ => format!("{bytes} bytes"),
    }
}

fn time(time: Duration) -> String {
    match time.as_secs() {
        seconds if seconds >= 60 && seconds.is_multiple_of(60) => format!("{} min", seconds / 60),
        seconds => format!("{seconds} s"),
    }
}
