//! A store with the data that the service would have recorded in a simulated world.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ntp_monitor::sinks::worker::BatchWriter;
use ntp_monitor::store::{Command, Event, Options, Store};
use ntp_monitor_core::clock::Stamp;
use ntp_monitor_core::sample::Sample;
use ntp_monitor_core::stats::replay::Replay;
use ntp_monitor_core::world::{Fault, World};
use slog::{Discard, Logger, o};

pub const HOUR_S: f64 = 3600.0;
pub const DAY_S: f64 = 24.0 * HOUR_S;

const YEAR_NS: i64 = 366 * 86_400 * 1_000_000_000;

/// Options of a store in `dir` with unlimited retention, unless a test prunes it.
pub fn options(dir: &Path) -> Options {
    Options {
        path: dir.join("ntp-monitor.db"),
        raw_for: Duration::from_secs(86_400),
        others: None,
        rollup_5m_for: Duration::from_secs(20 * 365 * 86_400),
        rollup_1h_for: Duration::from_secs(20 * 365 * 86_400),
        outbox_max_age: Duration::from_secs(86_400),
        outbox_max_bytes: 1 << 30,
        vantage: "ams-1".to_owned(),
        keeps_vantage: false,
        max_pages: None,
    }
}

/// A week of five servers: `ntp2` steps by 120 ms in the middle of it, `ntp4` is silent for half a day, and the path to
/// `ntp5` is congested for some hours.
pub fn week() -> World {
    let mut world = World::ordinary(11, 5, 64.0, 7.0 * DAY_S);
    world.faults = vec![
        Fault::ServerStep { server: 1, at_s: 3.5 * DAY_S, size_s: 0.12 },
        Fault::Silence { server: Some(3), from_s: 5.0 * DAY_S, until_s: 5.5 * DAY_S },
        Fault::RouteChange { server: 4, at_s: 2.0 * DAY_S, until_s: 2.5 * DAY_S, one_way_s: 0.02 },
    ];
    world
}

/// The store at the returned path holds these samples and the events that the analysis found in them.
pub fn store(options: Options, samples: impl IntoIterator<Item = Sample>) -> PathBuf {
    let path = options.path.clone();
    let store = Store::open(options, &Logger::root(Discard, o!())).unwrap();
    let mut writer = store.writer(None);
    let mut replay = Replay::new();
    let samples: Vec<Arc<Sample>> = samples.into_iter().map(Arc::new).collect();
    for batch in samples.chunks(2000) {
        writer.write(batch).unwrap();
        batch.iter().for_each(|sample| replay.observe(sample));
    }
    for event in replay.finish(None).events {
        let detail = serde_json::json!({ "detail": event.detail, "sentence": event.sentence }).to_string();
        let kept = Event {
            start_ns: event.start.0,
            end_ns: event.end.map(|end| end.0),
            kind: event.kind.label().to_owned(),
            server: event.server,
            address: event.address.and_then(|address| address.parse().ok()),
            detail,
        };
        let (reply, _answer) = tokio::sync::oneshot::channel();
        writer.command(Command::RecordEvent { event: kept, replaces: None, reply });
    }
    path
}

/// Deletes all raw samples: they are older than any limit.
pub fn forget_samples(options: Options) {
    let store = Store::open(options, &Logger::root(Discard, o!())).unwrap();
    let (reply, mut answer) = tokio::sync::oneshot::channel();
    let mut writer = store.writer(None);
    // Age is measured by a clock that begins at the newest sample and follows the wall clock slowly.
    let now = ntp_monitor::clock::now();
    for at in [now, Stamp { mono_ns: now.mono_ns + YEAR_NS, ..now }] {
        writer.tick(at).unwrap();
    }
    writer.command(Command::PruneNow { reply });
    assert!(answer.try_recv().unwrap().unwrap() > 0);
}
