//! Quantities and foreign text, written for people and for files.

pub mod decimal;
pub mod html;
pub mod percent;
pub mod plain;
pub mod units;
