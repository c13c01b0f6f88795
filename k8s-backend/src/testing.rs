//! What tests of programs that use a backend need; with the feature `testing`.
//!
//! [`MockJobBackend`] is for one odd answer ("submit says conflict"), [`InMemoryBackend`] for stories, [`conformance`] for
//! the authors of backends, [`ApiServer`] for those who talk to Kubernetes.

mod api_server;
pub mod conformance;
mod in_memory;

pub use self::{
    api_server::{ApiServer, Listening, PodEnd, Request, Seen, Trouble, Verb},
    in_memory::InMemoryBackend,
};
pub use crate::backend::MockJobBackend;
