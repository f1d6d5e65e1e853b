//! What actors say to each other. Data only.

pub mod lifecycle;
pub mod sample;
pub mod targets;
