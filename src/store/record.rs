//! A sample as the store keeps it: the content of a CSV line, and the number of its series.

use std::net::SocketAddr;
use std::sync::Arc;

use ntp_monitor_core::clock::Stamp;
use ntp_monitor_core::ntp::CheckRow;
use ntp_monitor_core::sample::{Authentication, Measure, Mode, Outcome, Reply, Sample, ServerIdent, Timestamping};

/// A sample read from the store.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredSample {
    /// The sample. Its identity has no tags, because they belong to the configuration, and it has no packet evidence,
    /// because that of rejected replies is stored separately.
    pub sample: Sample,
    /// The checks of the accepted reply, or of the last rejected one.
    pub checks: Option<CheckRow>,
}

/// A sample without the names of its series.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Record {
    pub(super) series_id: i64,
    pub(super) at: Stamp,
    pub(super) outcome: Outcome,
    pub(super) reply: Option<Reply>,
    pub(super) measure: Option<Measure>,
    pub(super) poll_s: f64,
    pub(super) timestamping: Option<Timestamping>,
    pub(super) authentication: Authentication,
    pub(super) mode: Mode,
    pub(super) sent: u16,
    pub(super) lost: u16,
    pub(super) checks: Option<CheckRow>,
}

impl Record {
    pub(super) fn of(series_id: i64, sample: &Sample) -> Self {
        let is_number = |m: &Measure| ![m.offset_s, m.delay_s, m.root_distance_s].into_iter().any(f64::is_nan);
        Self {
            series_id,
            at: sample.at,
            outcome: sample.outcome.clone(),
            reply: sample.reply,
            measure: sample.measure.filter(is_number),
            poll_s: if sample.poll_s.is_finite() { sample.poll_s } else { 0.0 },
            timestamping: sample.timestamping,
            authentication: sample.authentication,
            mode: sample.mode,
            sent: sample.sent,
            lost: sample.lost,
            checks: sample.evidence.as_ref().or(sample.rejected.last()).map(|evidence| evidence.checks),
        }
    }

    /// As a sample of `server` at `address`.
    pub(super) fn into_stored(self, server: &Arc<ServerIdent>, address: Option<SocketAddr>) -> StoredSample {
        let sample = Sample {
            at: self.at,
            server: Arc::clone(server),
            address,
            outcome: self.outcome,
            reply: self.reply,
            measure: self.measure,
            poll_s: self.poll_s,
            timestamping: self.timestamping,
            authentication: self.authentication,
            mode: self.mode,
            sent: self.sent,
            lost: self.lost,
            evidence: None,
            rejected: Vec::new(),
            nts: None,
            rejected_count: 0,
        };
        StoredSample { sample, checks: self.checks }
    }
}
