//! How long the stages of a poll take. One poll in 1,024 is measured, because reading the clock for each would cost more
//! than some of the stages. The figures belong to the process, like those that the kernel counts.

use std::array::from_fn;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const ONE_IN: u64 = 1024;
/// Upper limits of the buckets of a histogram. One more bucket holds longer times.
const LIMITS: [Duration; 13] = [
    Duration::from_micros(1),
    Duration::from_micros(2),
    Duration::from_micros(5),
    Duration::from_micros(10),
    Duration::from_micros(20),
    Duration::from_micros(50),
    Duration::from_micros(100),
    Duration::from_micros(200),
    Duration::from_micros(500),
    Duration::from_millis(1),
    Duration::from_millis(2),
    Duration::from_millis(10),
    Duration::from_millis(100),
];

/// The stages of a poll in this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The kernel engine sends the request and reads its transmit timestamp.
    Send,
    /// The kernel engine reads and judges the reply.
    Receive,
    /// The prober makes a sample of the result, publishes it and plans the next poll.
    Report,
    /// The sample enters the windows and the verdict.
    Statistics,
    /// The sample enters the health log.
    Health,
    /// The store writes the sample and its InfluxDB line, with the wait for the disk.
    Store,
    /// The sample is appended to the CSV file.
    Csv,
}

impl Stage {
    /// Every stage, in the order in which a poll passes them.
    pub const ALL: [Self; 7] =
        [Self::Send, Self::Receive, Self::Report, Self::Statistics, Self::Health, Self::Store, Self::Csv];

    /// The name in metrics.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::Receive => "receive",
            Self::Report => "report",
            Self::Statistics => "statistics",
            Self::Health => "health",
            Self::Store => "store",
            Self::Csv => "csv",
        }
    }

    /// The measured times of this stage since the process started.
    #[must_use]
    pub fn times(self) -> Times {
        self.histogram().read()
    }

    fn histogram(self) -> &'static Histogram {
        static HISTOGRAMS: [Histogram; Stage::ALL.len()] = [const { Histogram::new() }; Stage::ALL.len()];
        &HISTOGRAMS[self as usize]
    }
}

/// Does the `work` of one poll, and measures it if this poll is selected.
pub fn measure<T>(stage: Stage, work: impl FnOnce() -> T) -> T {
    let histogram = stage.histogram();
    if histogram.pass(1) == 0 {
        return work();
    }
    let begin = Instant::now();
    let result = work();
    histogram.record(begin.elapsed(), 1);
    result
}

/// Measures work for several polls at once. Each poll gets an equal part of the time.
#[derive(Debug)]
pub struct Stopwatch {
    stage: Stage,
    begin: Instant,
}

impl Stopwatch {
    #[must_use]
    pub fn start(stage: Stage) -> Self {
        Self { stage, begin: Instant::now() }
    }

    /// Ends the work, which was done for this many polls.
    pub fn stop(self, polls: usize) {
        let histogram = self.stage.histogram();
        let measured = histogram.pass(polls as u64);
        if let (1.., Ok(polls)) = (measured, u32::try_from(polls)) {
            histogram.record(self.begin.elapsed() / polls, measured);
        }
    }
}

/// The measured times of a stage.
#[derive(Debug, Clone, PartialEq)]
pub struct Times {
    pub count: u64,
    /// The sum of all times.
    pub sum: Duration,
    /// The upper limits of the buckets, and the number of times in each; the last one has no limit.
    pub buckets: Vec<(Option<Duration>, u64)>,
}

#[derive(Debug)]
struct Histogram {
    passed: AtomicU64,
    sum_ns: AtomicU64,
    counts: [AtomicU64; LIMITS.len() + 1],
}

impl Histogram {
    const fn new() -> Self {
        Self {
            passed: AtomicU64::new(0),
            sum_ns: AtomicU64::new(0),
            counts: [const { AtomicU64::new(0) }; LIMITS.len() + 1],
        }
    }

    /// Counts polls. Returns how many of them are measured: the very first, and each 1,024th.
    fn pass(&self, polls: u64) -> u64 {
        let before = self.passed.fetch_add(polls, Ordering::Relaxed);
        (before + polls).div_ceil(ONE_IN) - before.div_ceil(ONE_IN)
    }

    fn record(&self, time: Duration, polls: u64) {
        let bucket = LIMITS.partition_point(|limit| *limit < time);
        self.counts[bucket].fetch_add(polls, Ordering::Relaxed);
        let ns = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.sum_ns.fetch_add(ns.saturating_mul(polls), Ordering::Relaxed);
    }

    fn read(&self) -> Times {
        let counts: [u64; LIMITS.len() + 1] = from_fn(|i| self.counts[i].load(Ordering::Relaxed));
        let limits = LIMITS.into_iter().map(Some).chain([None]);
        Times {
            count: counts.iter().sum(),
            sum: Duration::from_nanos(self.sum_ns.load(Ordering::Relaxed)),
            buckets: limits.zip(counts).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_poll_in_1024_is_measured_alone_or_in_a_batch() {
        let histogram = Histogram::new();
        assert_eq!((0..2049).map(|_| histogram.pass(1)).sum::<u64>(), 3);
        let histogram = Histogram::new();
        let batches = [1, 1023, 1, 1023, 2048, 0].map(|polls| histogram.pass(polls));
        assert_eq!(batches, [1, 0, 1, 0, 2, 0]);
    }

    #[test]
    fn bucket_includes_its_upper_limit() {
        let histogram = Histogram::new();
        histogram.record(Duration::from_micros(1), 1);
        histogram.record(Duration::from_nanos(1001), 2);
        histogram.record(Duration::from_secs(1), 1);
        let times = histogram.read();
        let counts: Vec<u64> = times.buckets.iter().map(|(_, count)| *count).collect();
        assert_eq!((counts[0], counts[1], counts[LIMITS.len()], times.count), (1, 2, 1, 4));
        assert_eq!(times.sum, Duration::from_nanos(1000 + 2 * 1001 + 1_000_000_000));
    }
}
