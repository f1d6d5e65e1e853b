//! The messages between actors. Data only.

pub mod lifecycle;
pub mod sample;
pub mod targets;
