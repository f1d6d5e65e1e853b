//! Configuration: files, environment and flags in; one validated [`Config`] out, or every fault at once.

mod model;

pub use model::*;
