//! What integration tests share: real servers, each ended with the value that stands for it.

pub mod chronyd;
pub mod victoria;
