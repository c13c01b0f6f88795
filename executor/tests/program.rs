//! Tests of the built program: wiring, exit codes, signals, and the real terraform and git.
//!
//! Each test has its own api-server (in memory, port 0), its own folders and its own environment, so that the
//! tests run in any order and in parallel. What can be tested without a process has unit tests. (`cfg(test)`
//! below marks the helpers as tests for clippy.) `program_tofu.rs` runs the same tests with tofu.

#[cfg(test)]
mod archives;
#[cfg(test)]
mod backends;
#[cfg(test)]
mod bundles;
#[cfg(test)]
mod claims;
#[cfg(test)]
mod environment;
#[cfg(test)]
mod failures;
#[cfg(test)]
mod git_servers;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod networks;
#[cfg(test)]
mod providers;
#[cfg(test)]
mod releases;
#[cfg(test)]
mod remote_states;
#[cfg(test)]
mod scripts;
#[cfg(test)]
mod sources;
#[cfg(test)]
mod steps;
#[cfg(test)]
pub(crate) mod support;
#[cfg(test)]
mod variables;
