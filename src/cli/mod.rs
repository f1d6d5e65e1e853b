//! cli

pub mod args;
pub mod check;
pub mod conclusion;
pub mod measure;
pub mod measured;
pub mod query;
mod query_json;
pub mod table;
pub mod units;
pub mod words;
