//! What the store says of a span: figures, verdicts, events, and the course of a server. What tables, pictures and
//! reports are made of.
//!
//! Samples are used as far back as they are kept, rollups beyond; where a figure comes from is always said. All functions
//! that take a [`Reader`] block.
//!
//! [`Reader`]: crate::store::read::Reader

pub mod course;
pub mod happening;
mod rolled;
pub mod span;
pub mod survey;
