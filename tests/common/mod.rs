//! What integration tests share: real servers, each ended with the value that stands for it.

// A failed unwrap is a failed test; and no test uses all of this.
#![allow(clippy::unwrap_used, dead_code)]

pub mod chronyd;
pub mod service;
pub mod victoria;
