//! The metrics of the program itself.

use super::family::{Family, Kind, Values, gauge, truth};
use super::scrape::Scrape;
use ntp_monitor_core::health::report::{SinkHealth, Status};

pub(super) const BUILD: Family = Family {
    name: "build",
    unit: None,
    kind: Kind::Info,
    help: "The version of the service and its vantage.",
    values: Values::Info(|scrape| {
        let vantage = scrape.config.monitor.vantage.clone();
        vec![("version", env!("CARGO_PKG_VERSION").to_owned()), ("vantage", vantage)]
    }),
};

pub(super) const START: Family =
    gauge("start_timestamp", Some("seconds"), "When the service started, in seconds since 1970.", |scrape| {
        Some(scrape.started.wall_s())
    });

pub(super) const READY: Family = gauge(
    "ready",
    None,
    "Whether the service measures: its outputs are open and a poll has ended. 1 if so, else 0.",
    |scrape| Some(truth(scrape.health.ready)),
);

pub(super) const HEALTH: Family = Family {
    name: "health",
    unit: None,
    kind: Kind::Gauge,
    help: "The health of the service: 1 for the current status, 0 for the others.",
    values: Values::By("status", |scrape| {
        let all = [("ok", Status::Ok), ("degraded", Status::Degraded), ("failing", Status::Failing)];
        all.map(|(label, status)| (label.to_owned(), truth(status == scrape.health.status))).to_vec()
    }),
};

pub(super) const SERVERS: Family =
    gauge("servers", None, "Configured servers.", |scrape| Some(scrape.config.servers.len() as f64));

pub(super) const RESTARTS: Family =
    counter("child_restarts", "Restarts of parts of the service since it started.", |scrape| {
        Some(scrape.health.restarts as f64)
    });

pub(super) const PANICS: Family =
    counter("child_panics", "How many of the restarts followed a panic.", |scrape| Some(scrape.health.panics as f64));

pub(super) const CHILDREN_DOWN: Family =
    gauge("children_down", None, "Parts of the service that are not running now.", |scrape| {
        Some(scrape.health.down.len() as f64)
    });

pub(super) const SINK_FAILING: Family = of_sinks(
    "sink_failing",
    None,
    Kind::Gauge,
    "Whether the last attempt to write failed: 1 if so, else 0.",
    |scrape| by_sink(scrape, |sink| Some(truth(sink.failing))),
);

pub(super) const SINK_WAITING: Family = of_sinks(
    "sink_waiting",
    None,
    Kind::Gauge,
    "Entries that are not written yet: queued or being written.",
    |scrape| by_sink(scrape, |sink| Some((sink.queue_depth + sink.in_hand) as f64)),
);

pub(super) const SINK_CAPACITY: Family =
    of_sinks("sink_capacity", None, Kind::Gauge, "Capacity of the output's queue, in entries.", |scrape| {
        by_sink(scrape, |sink| sink.queue_capacity.map(|capacity| capacity as f64))
    });

pub(super) const SINK_DROPPED: Family =
    of_sinks("sink_dropped", None, Kind::Counter, "Entries dropped by the output since start.", |scrape| {
        by_sink(scrape, |sink| Some(sink.dropped as f64))
    });

pub(super) const SINK_WRITTEN: Family =
    of_sinks("sink_written", None, Kind::Counter, "Entries written since start.", |scrape| {
        by_sink(scrape, |sink| Some(sink.written as f64))
    });

pub(super) const SINK_FAILURES: Family =
    of_sinks("sink_failures", None, Kind::Counter, "Failed attempts to write since start.", |scrape| {
        by_sink(scrape, |sink| Some(sink.failures as f64))
    });

pub(super) const SINK_LAG: Family = of_sinks(
    "sink_lag",
    Some("seconds"),
    Kind::Gauge,
    "Age of the oldest entry that has not been written to the output, in seconds.",
    |scrape| by_sink(scrape, |sink| Some(sink.lag_s)),
);

pub(super) const LOG_DROPPED: Family =
    counter("log_dropped", "Log records dropped because the log could not keep up.", |scrape| {
        Some(scrape.health.log_dropped as f64)
    });

pub(super) const STREAM_READERS: Family =
    gauge("stream_readers", None, "Current readers of the event stream.", |scrape| Some(scrape.hub.readers() as f64));

pub(super) const STREAM_CUT_OFF: Family = counter(
    "stream_cut_off",
    "Readers of the event stream that were disconnected because they could not keep up.",
    |scrape| Some(scrape.hub.cut_off() as f64),
);

pub(super) const STREAM_MISSED: Family = counter(
    "stream_missed",
    "Batches of samples that were dropped before they reached any reader, because they came too fast for the event stream.",
    |scrape| Some(scrape.hub.missed() as f64),
);

pub(super) const fn counter(name: &'static str, help: &'static str, value: fn(&Scrape) -> Option<f64>) -> Family {
    Family { name, unit: None, kind: Kind::Counter, help, values: Values::One(value) }
}

const fn of_sinks(
    name: &'static str,
    unit: Option<&'static str>,
    kind: Kind,
    help: &'static str,
    values: fn(&Scrape) -> Vec<(String, f64)>,
) -> Family {
    Family { name, unit, kind, help, values: Values::By("sink", values) }
}

fn by_sink(scrape: &Scrape, value: fn(&SinkHealth) -> Option<f64>) -> Vec<(String, f64)> {
    scrape.health.sinks.iter().filter_map(|(name, sink)| Some((name.clone(), value(sink)?))).collect()
}
