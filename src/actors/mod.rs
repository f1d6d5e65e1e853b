//! The actors of the service and their supervision. Actors contain no arithmetic: they receive a message, call a pure
//! function and send the result on.

pub mod adoption;
pub mod alerter;
pub mod backoff;
pub mod census;
pub mod health;
pub mod ledger;
pub mod notice;
pub mod outlet;
pub mod prober;
mod pulse;
pub mod reporter;
mod rhythm;
pub mod sheets;
pub mod stats;
pub mod succession;
pub mod supervisor;
pub mod targets;
