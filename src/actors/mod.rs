//! Who lives, who dies, who is told. Actors hold no arithmetic: they take a message, call a pure function and send what
//! came of it.

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
pub mod stats;
pub mod supervisor;
pub mod targets;
