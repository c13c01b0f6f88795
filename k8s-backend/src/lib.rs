//! x
mod backend;
mod error;
pub use backend::*;
pub use error::*;
