//! The analysis of samples: windows, quantiles, stability, consensus and attribution.

pub mod analysis;
pub mod attribution;
pub mod caveat;
pub mod consensus;
mod distribution;
pub mod events;
pub mod filter;
pub mod histogram;
pub mod independence;
pub mod intake;
pub mod judgement;
pub mod leap;
pub mod local;
pub mod loss;
pub mod moments;
mod packed;
pub mod quantile;
pub mod reach;
pub mod replay;
pub mod score;
pub mod sketch;
pub mod snapshot;
pub mod stability;
pub mod state;
pub mod summary;
#[cfg(test)]
mod testing;
pub mod trend;
pub mod verdict;
pub mod window;
