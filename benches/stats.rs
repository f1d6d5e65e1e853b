//! The cost of statistics: time per sample, memory per server, stability of a million samples.
//! `cargo bench --bench stats`
//!
//! Each figure is compared with a simple implementation in the same run. Times are the best of some runs.

#![allow(clippy::print_stdout, reason = "a table on stdout is what this program is for")]

use std::collections::VecDeque;
use std::hint::black_box;
use std::time::Instant;

use ntp_monitor_core::clock::Stamp;
use ntp_monitor_core::ntp::{Leap, RefId};
use ntp_monitor_core::sample::{Authentication, Measure, Mode, Outcome, Reply, Sample, ServerIdent, Timestamping};
use ntp_monitor_core::stats::intake::TimeAxis;
use ntp_monitor_core::stats::sketch::Sketch;
use ntp_monitor_core::stats::stability::{PhaseGrid, Stability};
use ntp_monitor_core::stats::summary::{Summary, summarise};
use ntp_monitor_core::stats::window::{ServerWindows, Window};

fn main() {
    println!("{:<66} {:>12} {:>12} {:>8}", "what", "ours", "peer", "peer/us");
    per_sample();
    memory();
    summaries();
    stability();
}

fn per_sample() {
    let week = polls(64.0, 7.0);
    let ours = best_of(5, || {
        let mut windows = ServerWindows::new(TimeAxis::Monotonic);
        for sample in &week {
            windows.observe(sample).expect("the samples are in order");
        }
        windows
    });
    // The simple implementation: keep a week of values and drop the oldest.
    let peer = best_of(5, || {
        let mut values = VecDeque::new();
        for sample in &week {
            values.push_back((sample.at.mono_ns, sample.offset_s(), sample.measure.map(|m| m.delay_s)));
        }
        values
    });
    let each = 1e9 / week.len() as f64;
    row("a sample into the windows of its server (peer: a list), ns", ours * each, peer * each);

    let offsets: Vec<f64> = week.iter().filter_map(Sample::offset_s).collect();
    let ours = best_of(5, || {
        let mut sketch = Sketch::new();
        sketch.extend(offsets.iter().copied());
        sketch
    });
    let peer = best_of(5, || {
        let mut sketch = sketches_ddsketch::DDSketch::default();
        offsets.iter().for_each(|offset| sketch.add(*offset));
        sketch
    });
    row("a value into a sketch (peer: sketches-ddsketch), ns", ours * each, peer * each);
}

fn memory() {
    for (poll_s, windows) in [(64.0, Window::ALL), (16.0, Window::ALL)] {
        for window in &windows[1..] {
            let samples = polls(poll_s, 9.0);
            let mut server = ServerWindows::up_to(*window, TimeAxis::Monotonic);
            for sample in &samples {
                server.observe(sample).expect("the samples are in order");
            }
            // The simple implementation: time, offset and delay of every poll of the window.
            let peer = window.length_s() / poll_s * 24.0;
            let what = format!("memory of a server, windows to {}, poll {poll_s} s (list), bytes", window.label());
            row(&what, server.memory_bytes() as f64, peer);
        }
    }
}

fn summaries() {
    let week = polls(64.0, 9.0);
    let mut windows = ServerWindows::new(TimeAxis::Monotonic);
    for sample in &week {
        windows.observe(sample).expect("the samples are in order");
    }
    let now = week[week.len() - 1].at;
    for window in Window::ALL {
        let ours = best_of(20, || windows.summary(window, now));
        let start_ns = now.mono_ns - (window.length_s() * 1e9) as i64;
        let within: Vec<_> = week.iter().filter(|sample| sample.at.mono_ns >= start_ns).cloned().collect();
        let peer = best_of(5, || summarise(within.iter()));
        row(&format!("summary of {} at 64 s (exact, from a list), us", window.label()), ours * 1e6, peer * 1e6);
    }
    let values: Vec<f64> = noise(1_000_000);
    let exact = best_of(3, || Summary::exact(values.clone()));
    row("exact summary of a million values, ms", exact * 1e3, f64::NAN);
}

fn stability() {
    let grid = PhaseGrid::from_phase(1.0, noise(1_000_000)).expect("a million slots fit");
    let ours = best_of(3, || Stability::of(&grid, None));
    row("a million samples: all deviations with intervals, s", ours, f64::NAN);

    let x = noise(20_000);
    let grid = PhaseGrid::from_phase(1.0, x.clone()).expect("20 000 slots fit");
    let factors: Vec<usize> = (0..12).map(|k| 1 << k).collect();
    let taus: Vec<f64> = factors.iter().map(|m| *m as f64).collect();
    let ours = best_of(3, || Stability::of(&grid, Some(&taus)));
    let peer = best_of(1, || factors.iter().map(|m| by_definition(&x, *m)).collect::<Vec<_>>());
    row("20 000 samples, octaves (peer: ADEV MDEV MTIE as defined), ms", ours * 1e3, peer * 1e3);
}

/// ADEV, MDEV and MTIE at tau0 = 1 s, straight from their definitions.
fn by_definition(x: &[f64], m: usize) -> (f64, f64, f64) {
    let second = |i: usize| x[i + 2 * m] - 2.0 * x[i + m] + x[i];
    let tau = m as f64;
    let terms = x.len() - 2 * m;
    let avar = (0..terms).map(|i| second(i).powi(2)).sum::<f64>() / (2.0 * tau * tau * terms as f64);
    let windows = x.len() + 1 - 3 * m;
    let inner = |j: usize| (j..j + m).map(second).sum::<f64>().powi(2);
    let mvar = (0..windows).map(inner).sum::<f64>() / (2.0 * tau.powi(4) * windows as f64);
    let spread = |w: &[f64]| w.iter().copied().fold(f64::MIN, f64::max) - w.iter().copied().fold(f64::MAX, f64::min);
    (avar.sqrt(), mvar.sqrt(), x.windows(m + 1).map(spread).fold(0.0, f64::max))
}

/// The best time of `runs` runs in seconds.
fn best_of<T>(runs: usize, work: impl Fn() -> T) -> f64 {
    (0..runs).map(|_| time(&work)).fold(f64::INFINITY, f64::min)
}

fn time<T>(work: impl Fn() -> T) -> f64 {
    let start = Instant::now();
    black_box(work());
    start.elapsed().as_secs_f64()
}

fn row(what: &str, ours: f64, peer: f64) {
    if peer.is_nan() {
        println!("{what:<66} {ours:>12.3} {:>12} {:>8}", "-", "-");
    } else {
        println!("{what:<66} {ours:>12.3} {peer:>12.3} {:>8.2}", peer / ours);
    }
}

/// Uniform noise of a millisecond from the generator of NIST SP 1065 §12.4.
fn noise(n: usize) -> Vec<f64> {
    let mut state = 1_234_567_890_u64;
    let mut next = || {
        state = state * 16807 % 2_147_483_647;
        (state as f64 / 2_147_483_647.0 - 0.5) * 2e-3
    };
    (0..n).map(|_| next()).collect()
}

/// A server with offsets within a millisecond and delays of 20 to 30 ms, polled for some days; one poll in 50 is lost.
fn polls(poll_s: f64, days: f64) -> Vec<Sample> {
    let server = ServerIdent::named("bench");
    let noise = noise(2 * (days * 86_400.0 / poll_s) as usize);
    let poll = |(i, noise): (usize, &[f64])| {
        let mono_ns = ((i + 1) as f64 * poll_s * 1e9) as i64;
        let measure = Measure { offset_s: noise[0], delay_s: 0.025 + noise[1] * 5.0, root_distance_s: 0.02 };
        let lost = i % 50 == 49;
        let reply = Reply {
            stratum: 2,
            leap: Leap::None,
            refid: RefId(*b"GPS\0"),
            precision_log2: -23,
            root_delay_s: 0.01,
            root_dispersion_s: 0.002,
            reference_age_s: None,
        };
        Sample {
            at: Stamp::new(mono_ns, mono_ns, 0),
            server: server.clone(),
            address: None,
            outcome: if lost { Outcome::Timeout } else { Outcome::Sample },
            reply: (!lost).then_some(reply),
            measure: (!lost).then_some(measure),
            poll_s,
            timestamping: (!lost).then_some(Timestamping::Kernel),
            authentication: Authentication::None,
            mode: Mode::Basic,
            sent: 1,
            lost: u16::from(lost),
            evidence: None,
            rejected: Vec::new(),
            nts: None,
            rejected_count: 0,
        }
    };
    noise.chunks_exact(2).enumerate().map(poll).collect()
}
