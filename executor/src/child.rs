//! The child processes: terraform or tofu, and git.

pub(crate) mod captured;
pub(crate) mod command_line;
pub(crate) mod environment;
pub(crate) mod launcher;
pub(crate) mod orphans;
pub(crate) mod process;
pub(crate) mod processes;
pub(crate) mod search_path;
pub(crate) mod shell_quote;
pub(crate) mod ssh_key;
