//! Tests of the built program: wiring, exit codes, signals, and the real terraform and git.
//!
//! Each test has its own api-server (in memory, port 0), its own folders and its own environment, so that they run in any
//! order and at once. What can be tested without a process is tested beside the code. (`cfg(test)` below tells clippy that the
//! helpers are tests too.)

#[cfg(test)]
mod claims;
#[cfg(test)]
mod sources;
#[cfg(test)]
mod stories;
#[cfg(test)]
mod support;
#[cfg(test)]
mod trouble;
#[cfg(test)]
mod variables;
