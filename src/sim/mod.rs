//! sim

pub mod world;
