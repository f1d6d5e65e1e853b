//! The data of one poll that the sheet uses.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::clock::Stamp;
use crate::nts;
use crate::sample::{Authentication, Evidence, Mode, Outcome, Sample};

/// The data of one poll that the sheet uses.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// When it ended.
    pub at: Stamp,
    /// The address that was asked.
    pub asked: Option<SocketAddr>,
    /// How it ended.
    pub outcome: &'a Outcome,
    /// The reply that was used.
    pub accepted: Option<&'a Evidence>,
    /// The replies that were rejected, oldest first.
    pub rejected: &'a [Arc<Evidence>],
    /// How the reply was authenticated.
    pub authentication: Authentication,
    /// Which exchange its timestamps belong to.
    pub mode: Mode,
    /// The state of NTS.
    pub nts: Option<&'a nts::Status>,
    /// The poll interval, in seconds.
    pub poll_s: f64,
}

impl<'a> From<&'a Sample> for Seen<'a> {
    fn from(sample: &'a Sample) -> Self {
        Self {
            at: sample.at,
            asked: sample.address,
            outcome: &sample.outcome,
            accepted: sample.evidence.as_deref(),
            rejected: &sample.rejected,
            authentication: sample.authentication,
            mode: sample.mode,
            nts: sample.nts.as_deref(),
            poll_s: sample.poll_s,
        }
    }
}
