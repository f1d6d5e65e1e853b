//! File formats that carry samples.

pub mod csv;
pub mod source;
