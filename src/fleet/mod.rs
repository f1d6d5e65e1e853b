//! The fleet: agents send their samples through NATS JetStream; hubs receive them, judge all vantages together and
//! write poll plans.
//!
//! [`envelope`] is the message format and [`link`] the connection, with the names of streams and subjects. An instance
//! that measures runs an [`agent`], which sends the journal of the store; an instance that judges runs a [`hub`], which
//! stores the samples that it reads together with its position. Polling never waits for any of this.

mod advice;
pub mod agent;
pub mod enforce;
pub mod envelope;
pub mod handle;
pub mod hub;
pub mod judge;
mod lease;
pub mod link;
mod member;
pub mod nats_conf;
pub mod outgoing;
pub mod pace;
pub mod plan;
pub mod planner;
pub mod presence;
pub mod quiet;
pub mod quorum;
pub mod roster;
pub mod state;

pub use advice::NO_JETSTREAM;
