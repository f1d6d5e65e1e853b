//! Judging time: windows, quantiles, stability, consensus, attribution. Pure: data in, decisions out.

pub mod sketch;
