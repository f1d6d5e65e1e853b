//! What the store keeps for a fleet: the journal of an agent ([`journal`]), and what a hub has received ([`received`]).

pub(super) mod journal;
pub(super) mod raw;
pub(super) mod received;

pub use journal::{JournalGauge, JournalRow, Packer};
pub use raw::{RawGauge, RawLimits};
pub use received::{Accepted, Batch, Position, Received, Seqs, VantageRow};
