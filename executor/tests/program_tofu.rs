//! The tests of `program.rs` with tofu in place of terraform.

#[path = "program.rs"]
mod program;

#[cfg(test)]
use program::support;
