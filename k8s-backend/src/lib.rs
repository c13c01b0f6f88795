//! Submits, watches and cancels `batch/v1` Jobs: as local processes, on Kubernetes, in memory.
//!
//! What a Job should look like is not this crate's business: it takes the finished object, and any program may have made
//! it. One small trait, [`JobBackend`], is the whole interface; its documentation is the contract that every backend keeps
//! and that a conformance suite (`testing::conformance`) proves.
//!
//! | | [`LocalBackend`] | [`KubeBackend`] | `testing::InMemoryBackend` |
//! |---|---|---|---|
//! | use it for | a laptop, a single machine, the demo | a cluster | tests (feature `testing`) |
//! | a Job becomes | a child process in its own process group | a pod | an entry in a map |
//! | who moves it on | the operating system | the cluster | the test, by hand |
//! | image, node selector, volumes, resources… | not honoured, and it says so once per Job | honoured | ignored |
//! | missing Secret | waits for a folder to appear | waits in the kubelet | ignored |
//! | a [`Secret` of the Job](Submission::secret) | in memory, as a file only where it is mounted; until the end | a Secret that the Job owns | until the end |
//! | exit code | seen, unless the program was restarted meanwhile | seen if the role allows pods to be read, else only through a pod failure policy | as the test says |
//! | survives a restart of this program | yes: it finds its processes again | yes: the cluster keeps them | no |
//! | remembers a cancelled Job | yes | no: the object is deleted | yes |
//! | remembers an ended Job | as long as its folder is there | until its `ttlSecondsAfterFinished` | yes |
//!
//! For one odd answer ("submit says conflict") there is a mock, `testing::MockJobBackend`.
//!
//! # Examples
//! ```
//! # async fn run(job: k8s_openapi::api::batch::v1::Job) -> Result<(), Box<dyn std::error::Error>> {
//! use futures::StreamExt as _;
//! use k8s_backend::{JobBackend as _, LocalBackend, LocalOptions};
//!
//! let options = LocalOptions::new("data/jobs").environment([("PATH", "/usr/bin:/bin")]);
//! let backend = LocalBackend::open(options).await?;
//! backend.submit(&job.into()).await?;
//! let mut phases = backend.watch("job-17-100-1");
//! while let Some(phase) = phases.next().await {
//!     println!("{:?}", phase?);
//! }
//! # Ok(())
//! # }
//! ```

mod abilities;
mod backend;
mod error;
mod identity;
mod kubernetes;
mod local;
mod phase;
mod retrying;
mod rules;
mod submission;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use self::{
    abilities::{Abilities, questions},
    backend::{Cause, JobBackend, JobPhase, Submitted},
    error::{Action, BackendError, BoxError, ErrorKind},
    kubernetes::{ConnectError, KubeBackend, KubeOptions, Timeouts},
    local::{LocalBackend, LocalOptions, OpenError},
    phase::{
        ConfigProblem, DEFAULT_PATIENCE, ImageProblem, Observer, Refuser, Retry, Verdict, Waiting, judge,
        observe,
    },
    retrying::{Patience, Retrying},
    rules::{IDENTITY_ANNOTATION, JobRules},
    submission::Submission,
};
