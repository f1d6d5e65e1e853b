//! What several integration tests share.

pub mod victoria;
//! What integration tests share.

pub mod chronyd;
