//! Every backend keeps the contract of `JobBackend`.

#![expect(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

#[path = "conformance/harnesses.rs"]
mod harnesses;

use harnesses::{InMemoryHarness, KubeHarness, LocalHarness, RetryingHarness};

k8s_backend::conformance_suite!(in_memory, InMemoryHarness::default());
k8s_backend::conformance_suite!(local, LocalHarness::open().await);
k8s_backend::conformance_suite!(kubernetes, KubeHarness::new());
k8s_backend::conformance_suite!(retrying_kubernetes, RetryingHarness::new());
