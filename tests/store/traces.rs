//! Charts have the same meaning at every resolution.

use super::*;
use ntp_monitor::history::span::Span;
use ntp_monitor::history::trace::{Trace, TraceOptions, trace};

/// Monitoring begins in the middle of a rollup.
const BEGAN: i64 = T0 + 17 * 60 * SECOND + 40 * SECOND;

/// A poll each second, with 100 µs of jitter on a slow drift; if `is_lossy`, every third poll is lost.
fn each_second(count: i64, is_lossy: bool) -> Vec<Arc<Sample>> {
    let one = |n: i64| {
        let at = BEGAN + n * SECOND;
        let jitter_s = if n % 2 == 0 { 50e-6 } else { -50e-6 };
        let sample = match is_lossy && n % 3 == 1 {
            true => poll("a", at, Outcome::Timeout),
            false => measured("a", at, 0.010 + n as f64 * 1e-6 + jitter_s),
        };
        Arc::new(Sample { poll_s: 1.0, ..sample })
    };
    (0..count).map(one).collect()
}

struct Kept {
    reader: Reader,
    _dir: tempfile::TempDir,
}

fn kept(samples: &[Arc<Sample>]) -> Kept {
    let dir = tempfile::tempdir().unwrap();
    let options = options(dir.path());
    let store = Store::open(options.clone(), &log()).unwrap();
    let mut writer = store.writer(None);
    samples.chunks(500).for_each(|batch| writer.write(batch).unwrap());
    Kept { reader: reader(&options), _dir: dir }
}

fn traced(kept: &Kept, from_ns: i64, to_ns: i64, points: usize, rows: usize) -> Trace {
    let options = TraceOptions { points, step_s: None, rows, jitter: true };
    trace(&kept.reader, ("a", None), Some(BEGAN), Span { from_ns, to_ns }, options).unwrap()
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn jitter(trace: &Trace) -> f64 {
    median(trace.cells.iter().filter_map(|cell| cell.jitter_s))
}

/// Single polls, steps of ten seconds from samples, and steps of five minutes from rollups.
#[test]
fn every_resolution_shows_the_same_jitter_offset_and_loss() {
    let kept = kept(&each_second(3600, true));
    let to = BEGAN + HOUR;
    let raw = traced(&kept, to - 120 * SECOND, to, 600, 10_000);
    let short = traced(&kept, BEGAN - DAY, to, 600, 10_000);
    let rolled = traced(&kept, BEGAN - DAY, to, 600, 700);
    assert_eq!((raw.step_s, short.step_s, rolled.step_s), (None, Some(10), Some(300)));
    assert_eq!((raw.cells.len(), short.cells.len()), (120, 360));
    for trace in [&raw, &short, &rolled] {
        assert!((jitter(trace) - 76e-6).abs() < 15e-6, "{:?}: {}", trace.step_s, jitter(trace));
        let (polls, samples) = trace.cells.iter().fold((0, 0), |(p, s), cell| (p + cell.polls, s + cell.samples));
        assert!((samples as f64 / polls as f64 - 2.0 / 3.0).abs() < 0.02, "{:?}", trace.step_s);
        assert_eq!(trace.poll_s, Some(1.0));
    }
    for trace in [&short, &rolled] {
        let polls: u64 = trace.cells.iter().map(|cell| cell.polls).sum();
        assert_eq!(polls, 3600, "none is counted twice or left out, step {:?}", trace.step_s);
        let last = trace.cells.last().unwrap().offset_s.unwrap();
        assert!((last.high - 0.013_65).abs() < 5e-6, "{last:?}");
    }
}

#[test]
fn no_step_begins_before_the_monitor_did() {
    let kept = kept(&each_second(1500, false));
    let to = BEGAN + 1500 * SECOND;
    for rows in [10_000, 100] {
        let trace = traced(&kept, T0 - DAY, to, 100, rows);
        assert!(trace.cells.iter().all(|cell| (BEGAN..to).contains(&cell.at_ns)), "{trace:?}");
        assert!(trace.cells[0].at_ns < BEGAN + 300 * SECOND);
    }
    assert_eq!(traced(&kept, T0 - DAY, T0, 100, 100).cells, [], "nothing before");
}

#[test]
fn score_and_jitter_continue_from_earlier_polls() {
    let kept = kept(&each_second(1500, false));
    let to = BEGAN + 1500 * SECOND;
    let fresh = traced(&kept, BEGAN, BEGAN + 60 * SECOND, 600, 10_000);
    let later = traced(&kept, to - 60 * SECOND, to, 600, 10_000);
    assert!(fresh.cells[0].score == 1.0 && fresh.cells[0].jitter_s.is_none());
    assert!(later.cells[0].score > 19.9 && later.cells[0].jitter_s.is_some(), "{:?}", later.cells[0]);
    let rolled = traced(&kept, T0 - DAY, to, 10, 10);
    assert!(rolled.cells.last().unwrap().score > 19.9);
}
