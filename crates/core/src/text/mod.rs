//! Formats quantities, and makes foreign text safe to show or to write to files.

pub mod decimal;
pub mod html;
pub mod percent;
pub mod plain;
pub mod units;
