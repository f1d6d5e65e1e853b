//! What integration tests share.

pub mod chronyd;
