//! Submits, watches and cancels `batch/v1` Jobs: as local processes, on Kubernetes, in memory.
//!
//! This crate takes the finished object, whichever program made it. One small trait, [`JobBackend`], is the
//! whole interface; its documentation is the contract that every backend keeps and that a conformance suite
//! (`testing::conformance`) checks.
//!
//! | | `LocalBackend` | `KubeBackend` | `testing::InMemoryBackend` |
//! |---|---|---|---|
//! | feature | `local` | `kube` | `testing` |
//! | use it for | a laptop, a single machine, a demo | a cluster | tests |
//! | a Job becomes | a child process in its own process group | one or more pods | an entry in a map |
//! | phases change by | the operating system | the cluster | calls of the test |
//! | several containers or pods, init containers | refused as invalid | supported | accepted |
//! | image, node selector, volumes, resources… | not honoured, noted once per Job in its output | supported | ignored |
//! | `spec.suspend` | not honoured: there is no queue, so the Job runs | waits until a queue or a client resumes it | ignored |
//! | missing Secret | waits for a folder to appear | waits in the kubelet | ignored |
//! | a [`Secret` of the Job](Submission::secret) | in memory, as a file only where it is mounted; until the end | a Secret that the Job owns | until the end |
//! | exit code | known, unless the program was restarted meanwhile | known if the role allows reading pods, else only through a pod failure policy | as the test says |
//! | survives a restart of this program | yes: it finds its processes again | yes: the cluster keeps them | no |
//! | remembers a cancelled Job | yes | no: the object is deleted | yes |
//! | remembers an ended Job | as long as its folder exists | until its `ttlSecondsAfterFinished` | yes |
//!
//! With the feature `testing` there are also a mock (`testing::MockJobBackend`) for single answers, and a
//! Kubernetes API server in memory (`testing::ApiServer`, with the feature `kube`).
//!
//! # Cargo features
//! `kube` and `local` are on by default. Without `kube`, neither a Kubernetes client nor a TLS library is
//! compiled. The crate `kube` is re-exported, so that programs that bring their own client use the same
//! version.
//!
//! # Examples
#![cfg_attr(feature = "local", doc = "```")]
#![cfg_attr(not(feature = "local"), doc = "```ignore")]
//! # async fn run(job: k8s_openapi::api::batch::v1::Job) -> Result<(), Box<dyn std::error::Error>> {
//! use k8s_backend::{JobBackendExt as _, LocalBackend, LocalOptions};
//!
//! let options = LocalOptions::new("data/jobs").environment([("PATH", "/usr/bin:/bin")]);
//! let backend = LocalBackend::open(options).await?;
//! let cause = backend.run_to_end(&job.into()).await?;
//! println!("{cause}");
//! # Ok(())
//! # }
//! ```
//!
//! A container without a `command` needs `LocalOptions::entry_point`, and a Job that reads a Secret waits until
//! it is in the folder of `LocalOptions::secrets`: [`JobBackend::watch`] shows what a Job waits for. The service
//! in `examples/service` of the repository does all of it.

#[cfg(feature = "kube")]
mod abilities;
mod backend;
mod error;
mod identity;
#[cfg(feature = "kube")]
mod kubernetes;
#[cfg(feature = "local")]
mod local;
mod phase;
mod rules;
mod run_to_end;
mod submission;
#[cfg(feature = "testing")]
pub mod testing;

#[cfg(feature = "kube")]
pub use kube;

#[cfg(feature = "local")]
pub use self::local::{LocalBackend, LocalOptions, OpenError};
#[cfg(feature = "kube")]
pub use self::{
    abilities::{Abilities, access_reviews},
    kubernetes::{ConnectError, KubeBackend, KubeOptions, Timeouts},
};
pub use self::{
    backend::{Cause, JobBackend, JobPhase, Submitted},
    error::{Action, BackendError, BoxError, ErrorKind},
    identity::{InvalidJob, NameTaken},
    phase::{
        ConfigProblem, DEFAULT_START_TIMEOUT, ImageProblem, Observer, Refuser, Retry, StartTimeout, Waiting,
        check_start_timeout, observe,
    },
    rules::{IDENTITY_ANNOTATION, JobRules},
    run_to_end::{JobBackendExt, RetryPolicy},
    submission::Submission,
};
