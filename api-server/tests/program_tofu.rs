//! The tests of `tests/program` with tofu in place of terraform.

#[path = "program/main.rs"]
mod program;

use program::support;
