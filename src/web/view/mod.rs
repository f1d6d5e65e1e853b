//! Builds the views that the API, the page and the metrics share from snapshots. Pure.

pub mod nts;
pub mod row;
pub mod rows;
pub mod sheet;
