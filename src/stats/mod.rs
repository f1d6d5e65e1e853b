//! Windows, quantiles, stability, consensus, attribution and events. Pure: no I/O, no actor, no clock.

pub mod attribution;
pub mod consensus;
pub mod events;
pub mod independence;
pub mod leap;
pub mod local;
pub mod verdict;
