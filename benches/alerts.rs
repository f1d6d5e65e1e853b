//! The cost of alert rules: one evaluation of 20 rules for 10 000 servers.
//!
//! `cargo bench --bench alerts`. Goal: under 100 ms. One machine, one run: compare within a run only.

#![allow(clippy::print_stdout, reason = "a table on stdout is what this program is for")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use ntp_monitor_core::alert::engine::{Engine, Rulebook, Settings};
use ntp_monitor_core::alert::facts::Observation;
use ntp_monitor_core::alert::rule::{Rule, RuleSpec};
use ntp_monitor_core::clock::Stamp;
use ntp_monitor_core::health::report::Health;
use ntp_monitor_core::sample::{Sample, SeriesKey, ServerIdent};
use ntp_monitor_core::stats::analysis::Analysis;
use ntp_monitor_core::stats::intake::TimeAxis;
use ntp_monitor_core::stats::snapshot::{SeriesSnapshot, Snapshot};
use ntp_monitor_core::stats::window::Window;
use ntp_monitor_core::world::World;

const RULES: usize = 20;

fn main() {
    // `cargo test --benches` only checks that it builds and starts.
    let (servers, rounds) = if std::env::args().any(|arg| arg == "--bench") { (10_000, 20) } else { (10, 2) };
    let (idents, snapshot) = fleet(servers);
    let health = Health::default();
    let (mut engine, mut times) = (Engine::new(book(), snapshot.at), Vec::new());
    for round in 0..rounds {
        let now = Stamp { mono_ns: round * 10_000_000_000, ..snapshot.at };
        let observed = Observation { now, servers: &idents, snapshot: &snapshot, health: &health, fleet: None };
        let begin = Instant::now();
        let outcome = engine.step(&observed, &|| 0);
        times.push(begin.elapsed());
        assert!(outcome.is_empty(), "a healthy fleet has no alerts");
    }
    times.sort();
    let median = times[times.len() / 2];
    let each = median / u32::try_from(servers * RULES).unwrap_or(u32::MAX);
    println!(
        "{servers} servers by {RULES} rules: median {median:?}, worst {:?}, {each:?} each",
        times[times.len() - 1]
    );
}

/// The built-in rules about servers, repeated.
fn book() -> Rulebook {
    let built_in = Rulebook::built_in().rules;
    let about_servers = built_in.iter().filter(|rule| rule.expression.is_about_servers()).cycle().take(RULES);
    let rules = about_servers.enumerate().filter_map(|(n, rule)| {
        let spec = RuleSpec { name: format!("{}-{n}", rule.spec.name), ..rule.spec.clone() };
        Rule::compile(spec).ok().map(Arc::new)
    });
    let settings = Settings { startup_grace: Duration::ZERO, ..Settings::default() };
    Rulebook { settings, rules: rules.collect(), windows: Vec::new() }
}

/// Many copies of one healthy server.
fn fleet(count: usize) -> (Vec<Arc<ServerIdent>>, Snapshot) {
    let mut analysis = Analysis::new(Window::Hour, TimeAxis::Wall);
    World::ordinary(1, 3, 64.0, 3600.0).samples().for_each(|sample| analysis.observe(&Arc::new(sample)));
    let one = analysis.snapshot(Stamp::new(0, 0, 0));
    let (mut idents, mut snapshot) =
        (Vec::new(), Snapshot { series: std::collections::BTreeMap::new(), ..one.clone() });
    for (n, series) in (0..count).zip(one.series.values().cycle()) {
        let ident = ServerIdent::named(&format!("server-{n:05}"));
        let last = Arc::new(Sample { server: Arc::clone(&ident), ..(*series.last).clone() });
        let key = SeriesKey::here(&ident.name, last.address);
        snapshot.series.insert(Arc::new(key), Arc::new(SeriesSnapshot { last, ..(**series).clone() }));
        idents.push(ident);
    }
    (idents, snapshot)
}
