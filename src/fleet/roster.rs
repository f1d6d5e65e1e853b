//! How each vantage sees each of its servers.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use ntp_monitor_core::fleet::witness::Witness;
use ntp_monitor_core::sample::{Authentication, Sample};

/// The weight of a new delay in the mean.
const GAIN: f64 = 0.125;

/// A server as one vantage sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// The vantage's name for it.
    pub name: Arc<str>,
    pub address: Option<SocketAddr>,
    /// The latest offset (positive: the server is ahead of the vantage) and its error bound, in seconds.
    pub offset_s: Option<f64>,
    pub distance_s: Option<f64>,
    /// The mean round trip, in seconds.
    pub delay_s: Option<f64>,
    pub polls: u64,
    /// The interval of the latest poll, in seconds.
    pub poll_s: f64,
    /// The fraction of recent polls without a sample.
    pub loss: f64,
    /// Number of consecutive polls without a sample, up to the latest one.
    pub failures: u32,
    /// How the latest sample was authenticated.
    pub authentication: Authentication,
    /// The label of the latest outcome.
    pub outcome: &'static str,
    /// The time of the latest poll on the vantage's wall clock, corrected if that is far off.
    pub at_ns: i64,
}

/// Every server of each vantage.
pub type Roster = BTreeMap<Arc<str>, BTreeMap<Witness, Seen>>;

impl Seen {
    /// Whether the vantage still polls the server.
    #[must_use]
    pub fn is_polled(&self, now_ns: i64) -> bool {
        (now_ns - self.at_ns) as f64 / 1e9 <= 3.0 * self.poll_s + 60.0
    }

    pub(super) fn unseen(sample: &Sample) -> Self {
        Self {
            name: Arc::clone(&sample.server.name),
            address: sample.address,
            offset_s: None,
            distance_s: None,
            delay_s: None,
            polls: 0,
            poll_s: sample.poll_s,
            loss: 0.0,
            failures: 0,
            authentication: sample.authentication,
            outcome: sample.outcome.label(),
            at_ns: i64::MIN,
        }
    }

    pub(super) fn update(&mut self, sample: &Sample, at_ns: i64) {
        if at_ns < self.at_ns {
            return;
        }
        let failed = if sample.measure.is_some() { 0.0 } else { 1.0 };
        let gain = if self.polls == 0 { 1.0 } else { GAIN };
        self.loss += gain * (failed - self.loss);
        self.polls += 1;
        (self.at_ns, self.poll_s, self.outcome) = (at_ns, sample.poll_s, sample.outcome.label());
        self.failures = if sample.measure.is_some() { 0 } else { self.failures.saturating_add(1) };
        let Some(measure) = sample.measure else { return };
        self.authentication = sample.authentication;
        (self.offset_s, self.distance_s) = (Some(measure.offset_s), Some(measure.root_distance_s));
        let before = self.delay_s.unwrap_or(measure.delay_s);
        self.delay_s = Some(before + GAIN * (measure.delay_s - before));
    }
}
