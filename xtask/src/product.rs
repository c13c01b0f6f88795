//! The built product as its users meet it: its programs, its HTTP API, its live logs.
//!
//! What the demo and the main job of `cargo xtask e2e` share. Nothing of the product is linked in; everything here is what
//! any client does. Reading order: [`server`] (starts it), [`api`], [`register`] (what is set up), [`follow`] (one job to
//! its end), [`settle`] (nothing is left running).

pub(crate) mod api;
pub(crate) mod follow;
pub(crate) mod log_lines;
mod log_stream;
pub(crate) mod model;
pub(crate) mod register;
pub(crate) mod server;
pub(crate) mod settle;
mod sse;
pub(crate) mod state;
pub(crate) mod summary;
pub(crate) mod tool;
