//! The resources that the process uses, as counted by the kernel. Read at each scrape.

use std::fs;

use nix::sys::resource::{Usage, UsageWho, getrusage};

use super::family::{Family, Kind, Values, gauge};
use super::own::counter;
use crate::stages::Stage;

pub(super) const CPU: Family = Family {
    name: "process_cpu",
    unit: Some("seconds"),
    kind: Kind::Counter,
    help: "CPU time of the service since it started, user and system, in seconds.",
    values: Values::One(|_| usage().map(|usage| seconds(usage.user_time()) + seconds(usage.system_time()))),
};

pub(super) const MEMORY: Family =
    gauge("process_resident_memory", Some("bytes"), "Memory of the service in RAM, in bytes.", |_| resident_bytes());

pub(super) const SWITCHES: Family = Family {
    name: "process_context_switches",
    unit: None,
    kind: Kind::Counter,
    help: "How often threads of the service went to sleep (voluntary: each means one later wake-up) or were preempted.",
    values: Values::By("kind", |_| {
        let counts = |usage: Usage| {
            let (waits, interruptions) = (usage.voluntary_context_switches(), usage.involuntary_context_switches());
            vec![("voluntary".to_owned(), waits as f64), ("involuntary".to_owned(), interruptions as f64)]
        };
        usage().map(counts).unwrap_or_default()
    }),
};

pub(super) const WRITTEN: Family = Family {
    name: "process_written",
    unit: Some("bytes"),
    kind: Kind::Counter,
    help: "Bytes that the service wrote to files and sockets.",
    values: Values::One(|_| written_bytes()),
};

pub(super) const STAGES: Family = Family {
    name: "process_stage",
    unit: Some("seconds"),
    kind: Kind::Histogram,
    help: "Duration of each stage of a poll, in seconds; measured for one poll in 1,024.",
    values: Values::Times("stage", || Stage::ALL.map(|stage| (stage.label(), stage.times())).to_vec()),
};

pub(super) const SERIES_TO_MOVE: Family = gauge(
    "store_series_to_move",
    None,
    "Series with samples from an earlier release that are not converted to the current format yet.",
    |scrape| Some(scrape.moving.left as f64),
);

pub(super) const SAMPLES_MOVED: Family = counter(
    "store_samples_moved",
    "Samples from an earlier release that were converted to the current format since start.",
    |scrape| Some(scrape.moving.moved as f64),
);

fn usage() -> Option<Usage> {
    getrusage(UsageWho::RUSAGE_SELF).ok()
}

fn seconds(time: nix::sys::time::TimeVal) -> f64 {
    time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6
}

fn resident_bytes() -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let kibibytes = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?.trim().strip_suffix(" kB")?;
    Some(kibibytes.parse::<f64>().ok()? * 1024.0)
}

fn written_bytes() -> Option<f64> {
    let io = fs::read_to_string("/proc/self/io").ok()?;
    io.lines().find_map(|line| line.strip_prefix("wchar: "))?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn process_metrics_are_those_of_this_process() {
        let spent = || usage().map(|usage| seconds(usage.user_time()) + seconds(usage.system_time())).unwrap();
        let before = spent();
        while spent() < before + 0.005 {
            std::hint::black_box(before);
        }
        assert!((1e6..1e12).contains(&resident_bytes().unwrap()));
        let before = written_bytes().unwrap();
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a"), [7; 10_000]).unwrap();
        assert!(written_bytes().unwrap() >= before + 10_000.0);
    }
}
