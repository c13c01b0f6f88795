//! For tests of programs that use a backend (feature `testing`).
//!
//! [`MockJobBackend`] is for single answers ("submit returns a conflict"), [`InMemoryBackend`] for whole
//! scenarios, [`conformance`] for authors of backends, `ApiServer` (with the feature `kube`) for tests of
//! Kubernetes clients.

#[cfg(feature = "kube")]
mod api_server;
pub mod conformance;
mod in_memory;

#[cfg(feature = "kube")]
pub use self::api_server::{ApiServer, Fault, Listening, PodEnd, Request, ResponseFault, Verb};
pub use self::in_memory::InMemoryBackend;
pub use crate::backend::MockJobBackend;
