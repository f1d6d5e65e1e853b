//! Reports: what a span of time looked like.

pub mod message;
