//! Queries the store about a period: figures, verdicts, events and time series, for tables, charts and reports.
//!
//! Uses samples as far back as the store keeps them, and rollups before that; results state which was used. All
//! functions that take a [`Reader`] block.
//!
//! [`Reader`]: crate::store::read::Reader

pub mod course;
pub mod coverage;
pub mod fleet;
pub mod happening;
pub mod nts;
pub mod rolled;
pub mod span;
pub mod standing;
pub mod stretches;
pub mod survey;
pub mod trace;
