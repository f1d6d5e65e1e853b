//! No expression panics or overflows the stack, and one that was accepted never fails when it is evaluated.

use std::sync::{Arc, LazyLock};

use ntp_monitor_core::alert::expression::{Answer, Expression};
use ntp_monitor_core::alert::facts::{Facts, Memory, Observation, View, targets};
use ntp_monitor_core::clock::Stamp;
use ntp_monitor_core::health::report::Health;
use ntp_monitor_core::ntp::{Leap, RefId};
use ntp_monitor_core::sample::{Measure, Outcome, Reply, Sample, ServerIdent, Timestamping};
use ntp_monitor_core::stats::replay::Replay;
use ntp_monitor_core::stats::snapshot::Snapshot;

#[allow(dead_code)] // The replay test needs no fragments.
pub const FRAGMENTS: &[&str] = &[
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    " && ",
    " || ",
    "!",
    " == ",
    " != ",
    " < ",
    " >= ",
    " in ",
    " ? ",
    " : ",
    "-",
    "+",
    "*",
    "/",
    "%",
    ".",
    ",",
    "'",
    "\"",
    "\\",
    "//",
    "\n",
    "0",
    "1",
    "2.5",
    "1e308",
    "9223372036854775807",
    "9223372036854775808",
    "0x7f",
    "1u",
    "true",
    "null",
    "offset_ms",
    "delay_ms",
    "stratum",
    "verdict",
    "provable",
    "server",
    "refid",
    "leap",
    "servers_total",
    "servers_lost",
    "local_error_ms",
    "abs(",
    "min(",
    "max(",
    "known(",
    ".startsWith(",
    ".contains(",
    ".endsWith(",
    ".matches(",
    "size(",
    "has(",
    ".all(x, ",
    ".map(x, ",
    "b'x'",
    "r'\\'",
    "'''",
    "`a`",
    "é",
];

const START_S: i64 = 1_767_225_600;

struct World {
    servers: Vec<Arc<ServerIdent>>,
    snapshot: Snapshot,
    health: Health,
    memory: Memory,
}

/// Three servers that were polled, one of them wrong, and one that was not.
static WORLD: LazyLock<World> = LazyLock::new(|| {
    let servers: Vec<_> = ["a", "b", "c", "never"].map(ServerIdent::named).into();
    let mut replay = Replay::new();
    for poll in 0..10 {
        for (index, offset_s) in [0.0004, -0.0007, 2.0].into_iter().enumerate() {
            replay.observe(&sample(&servers[index], START_S + poll * 64 + index as i64, offset_s));
        }
    }
    let snapshot = replay.snapshot((START_S + 640) * 1_000_000_000);
    let mut memory = Memory::default();
    memory.observe(snapshot.at, &snapshot);
    World { servers, snapshot, health: Health::default(), memory }
});

fn sample(server: &Arc<ServerIdent>, at_s: i64, offset_s: f64) -> Arc<Sample> {
    let at = Stamp::new(at_s * 1_000_000_000, at_s * 1_000_000_000, 0);
    let reply = Reply {
        stratum: 2,
        leap: Leap::None,
        refid: RefId([192, 0, 2, server.name.as_bytes()[0]]),
        precision_log2: -20,
        root_delay_s: 0.002,
        root_dispersion_s: 0.001,
        reference_age_s: None,
    };
    let measure = Measure { offset_s, delay_s: 0.010, root_distance_s: 0.007 };
    let unasked = Sample::unasked(at, Arc::clone(server), Outcome::Sample, 64.0);
    let timestamping = Some(Timestamping::Kernel);
    Arc::new(Sample { reply: Some(reply), measure: Some(measure), timestamping, sent: 1, ..unasked })
}

pub fn check(source: &[u8]) {
    let Ok(source) = std::str::from_utf8(source) else { return };
    let expression = match Expression::parse(source) {
        Ok(expression) => expression,
        Err(why) => return assert!(!why.message.is_empty()),
    };
    assert_eq!(expression.source(), source);
    let World { servers, snapshot, health, memory } = &*WORLD;
    let observed = Observation { now: snapshot.at, servers, snapshot, health, fleet: None };
    let targets = targets(servers, snapshot);
    let facts = Facts::new(&observed, &targets, memory);
    let views = facts.servers.iter().copied().map(Some).chain([None]);
    for server in views {
        let answer = expression.evaluate(&View { server, common: &facts.common });
        assert!(!matches!(answer, Answer::Error(_)), "{source:?}: {answer:?}");
    }
}
