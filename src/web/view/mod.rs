//! What is shown, put together from snapshots: the same for the API, the page and metrics. Pure.

pub mod nts;
pub mod row;
pub mod rows;
pub mod sheet;
