//! Judging time: windows, quantiles, stability, consensus, attribution. Pure: data in, decisions out.

pub mod distance;
pub mod filter;
pub mod histogram;
pub mod loss;
pub mod moments;
pub mod quantile;
pub mod reach;
pub mod score;
pub mod sketch;
pub mod stability;
#[cfg(test)]
mod testing;
pub mod trend;
