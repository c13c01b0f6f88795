//! Every backend keeps the contract of `JobBackend`, also behind a pointer.

#![expect(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

#[path = "conformance/harnesses.rs"]
mod harnesses;

use harnesses::{InMemoryHarness, KubeHarness, LocalHarness, SharedHarness};

k8s_backend::conformance_suite!(in_memory, InMemoryHarness::default());
k8s_backend::conformance_suite!(local, LocalHarness::open().await);
k8s_backend::conformance_suite!(kubernetes, KubeHarness::new());
k8s_backend::conformance_suite!(shared_kubernetes, SharedHarness::new());
