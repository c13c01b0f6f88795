//! Protects what this process holds in its memory from the programs that it starts.
//!
//! Code inside a step runs as the same user. What the kernel cannot close to it is in `docs/security.md`.

/// Closes memory, environment and open files of this process to other processes of the same user, and to core
/// dumps. Programs that it starts are not affected.
///
/// Only Linux can do that, and not against a process with `CAP_SYS_PTRACE`, such as one of root outside of a
/// container.
pub fn close_process() {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
            tracing::warn!(%error, "programs of the step may be able to read the memory of the executor");
        }
    }
}
