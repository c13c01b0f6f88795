//! The phases of an attempt, in their order.
//!
//! | | phase | what it does |
//! |---|---|---|
//! | 1 | [`decode`] | reads the environment and the payload |
//! | 2 | [`claim`] | claims the attempt; nothing is changed before |
//! | 3 | [`fetch`] | downloads the reviewed plan, copies or clones the configuration |
//! | 4 | [`engine`] | finds terraform or tofu, or downloads and verifies it |
//! | 5 | [`init`] | writes the backend and runs `init` |
//! | 6 | [`scripts`] | runs the scripts of the template, around the command or instead of it |
//! | 7 | [`run`] | runs plan, apply or destroy |
//! | 8 | [`store`], [`bundle`], [`rescue`] | uploads the plan file and what else planning left, or a state |
//! | 9 | [`report`] | reports the result |
//!
//! Phases do not call each other: `attempt.rs` and `step.rs` do. What phases 3 to 8 share is in [`context`].

pub(crate) mod bundle;
pub(crate) mod claim;
pub(crate) mod context;
pub(crate) mod decode;
pub(crate) mod engine;
pub(crate) mod fetch;
pub(crate) mod init;
pub(crate) mod report;
pub(crate) mod rescue;
pub(crate) mod run;
pub(crate) mod scripts;
pub(crate) mod store;
