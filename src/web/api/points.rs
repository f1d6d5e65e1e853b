//! A server's history as points, at the resolution that fits: never more than [`MOST`].

use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use crate::store::read::{History, Reader};
use crate::store::{Rollup, StoreError};
use crate::web::params::{Range, Target, from_seconds};
use ntp_monitor_core::sample::{Sample, SeriesKey};
use ntp_monitor_core::stats::verdict::When;

/// Maximum number of points in an answer.
pub const MOST: usize = 2000;

/// The points of a span.
#[derive(Debug, JsonSchema, Serialize)]
pub struct Samples {
    from: When,
    to: When,
    /// `raw`: every poll; `5m` and `1h`: sums of rollups of that width.
    resolution: &'static str,
    /// The width of a point in seconds; `null` for `raw`.
    step_s: Option<i64>,
    /// By time.
    samples: Vec<Point>,
}

/// One poll, or the polls within one step.
#[derive(Debug, JsonSchema, Serialize)]
#[serde(untagged)]
enum Point {
    Poll(Box<Poll>),
    Bucket(Bucket),
}

/// One poll. Offsets are positive when the server is ahead.
#[derive(Debug, JsonSchema, Serialize)]
pub struct Poll {
    time: When,
    address: Option<String>,
    outcome: &'static str,
    reason: String,
    offset_s: Option<f64>,
    delay_s: Option<f64>,
    root_distance_s: Option<f64>,
    stratum: Option<u8>,
    leap: Option<u8>,
    refid: Option<String>,
    poll_s: f64,
    timestamping: Option<&'static str>,
    /// How the reply was authenticated: `none` or `nts`.
    authentication: &'static str,
    /// The time from the server's reference timestamp to its reply, in seconds.
    reference_age_s: Option<f64>,
    /// Which exchange the timestamps belong to: `basic` (this one) or `interleaved` (the one before).
    mode: &'static str,
}

/// A poll and its server.
#[derive(Debug, JsonSchema, Serialize)]
pub struct NamedPoll<'a> {
    /// The configured name of the server.
    name: &'a str,
    #[serde(flatten)]
    poll: Poll,
}

impl<'a> NamedPoll<'a> {
    /// The JSON of a sample with its server.
    #[must_use]
    pub fn of(sample: &'a Sample) -> Self {
        Self { name: &sample.server.name, poll: Poll::of(sample) }
    }
}

/// The polls within one step, of one address and one way of timestamping. Without a measurement the figures are `null`.
#[derive(Debug, JsonSchema, Serialize)]
struct Bucket {
    /// The beginning of the step.
    time: When,
    address: Option<String>,
    timestamping: Option<&'static str>,
    polls: u64,
    /// Polls with an offset.
    successes: u64,
    /// Mean.
    offset_s: Option<f64>,
    offset_min_s: Option<f64>,
    offset_max_s: Option<f64>,
    offset_stddev_s: Option<f64>,
    /// Mean.
    delay_s: Option<f64>,
    delay_min_s: Option<f64>,
    delay_max_s: Option<f64>,
    /// Mean.
    root_distance_s: Option<f64>,
    root_distance_max_s: Option<f64>,
}

/// The history of `target` within `range`, with points `step` apart if they are not too many then.
pub fn points(reader: &Reader, target: &Target, range: Range, step: Option<Duration>) -> Result<Samples, StoreError> {
    let Range { from_ns, to_ns } = range;
    let (mut step, mut most) = (step, MOST);
    loop {
        let history = reader.history(&target.name, target.address, from_ns, to_ns, step, most)?;
        let samples = Samples::of(history, range);
        // A server with several addresses has one point for each, so the step widens until all of them fit.
        let excess = samples.samples.len().div_ceil(MOST);
        let Some(width_s) = samples.step_s.filter(|_| excess > 1) else { return Ok(samples) };
        step = Some(Duration::from_secs(width_s.unsigned_abs().saturating_mul(excess as u64)));
        most = (most / excess).max(1);
    }
}

impl Samples {
    fn of(history: History, range: Range) -> Self {
        let (resolution, step_s, samples) = match history {
            History::Raw(stored) => {
                ("raw", None, stored.iter().map(|one| Point::Poll(Box::new(Poll::of(&one.sample)))).collect())
            }
            History::Rollups { width_s, rollups } => {
                let resolution = if width_s % 3600 == 0 { "1h" } else { "5m" };
                let buckets = rollups.iter().map(|(key, rollup)| Point::Bucket(Bucket::of(key, rollup)));
                (resolution, Some(width_s), buckets.collect())
            }
        };
        Self { from: When(range.from_ns), to: When(range.to_ns), resolution, step_s, samples }
    }
}

impl Poll {
    /// The JSON of a sample.
    #[must_use]
    pub fn of(sample: &Sample) -> Self {
        let (measure, reply) = (sample.measure, sample.reply);
        Self {
            time: When(sample.at.wall_ns),
            address: sample.address.map(|address| address.to_string()),
            outcome: sample.outcome.label(),
            reason: sample.outcome.reason().into_owned(),
            offset_s: measure.map(|m| m.offset_s),
            delay_s: measure.map(|m| m.delay_s),
            root_distance_s: measure.map(|m| m.root_distance_s),
            stratum: reply.map(|r| r.stratum),
            leap: reply.map(|r| r.leap.bits()),
            refid: reply.map(|r| r.refid.display(r.stratum)),
            poll_s: sample.poll_s,
            timestamping: sample.timestamping.map(|way| way.label()),
            authentication: sample.authentication.label(),
            reference_age_s: sample.reference_age_s(),
            mode: sample.mode.label(),
        }
    }
}

impl Bucket {
    fn of(key: &SeriesKey, rollup: &Rollup) -> Self {
        let (offset, delay) = (&rollup.offset_s, &rollup.delay_s);
        let known = |value: f64| (offset.n() > 0).then_some(value);
        Self {
            time: When(from_seconds(rollup.bucket_s)),
            address: key.address.map(|address| address.to_string()),
            timestamping: rollup.timestamping.map(|way| way.label()),
            polls: rollup.counts.polls(),
            successes: rollup.counts.samples(),
            offset_s: offset.mean(),
            offset_min_s: offset.min(),
            offset_max_s: offset.max(),
            offset_stddev_s: offset.stddev(),
            delay_s: delay.mean(),
            delay_min_s: delay.min(),
            delay_max_s: delay.max(),
            root_distance_s: known(rollup.root_distance_mean_s),
            root_distance_max_s: known(rollup.root_distance_max_s),
        }
    }
}
