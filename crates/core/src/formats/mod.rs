//! File formats that carry samples.

pub mod csv;
