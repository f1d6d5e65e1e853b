//! The service with real servers and a real database, killed repeatedly: every measurement is in every output once, and
//! no server is polled too early.

use std::collections::BTreeSet;
use std::time::Duration;

use ntp_monitor::sim::{ReplyKind, Script, ScriptedServer};
use ntp_monitor::store::read::Reader;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::common::chronyd::Chronyd;
use crate::common::monitor::{Home, own};
use crate::common::rows;
use crate::common::sim::Playground;
use crate::common::victoria::Victoria;
use crate::common::wait::until;

const KILLS: usize = 24;
/// The database is down between these kills.
const AWAY: std::ops::Range<usize> = 8..16;
/// Maximum time until a kill; some processes are killed before they have measured anything.
const LONGEST_LIFE: Duration = Duration::from_millis(1500);
/// Set it to repeat a run that failed.
const SEED: &str = "NTP_MONITOR_TEST_SEED";

#[test]
fn twenty_four_kills_neither_lose_nor_duplicate_samples() {
    let mut rng = seeded();
    let chronyds = ["127.0.0.1", "::1"].map(Chronyd::start);
    let (playground, mut victoria) = (Playground::open(), Victoria::start());
    let servers = [
        Script::good(),
        Script::good().losing(0.3),
        Script::good().unsynchronised(),
        Script::good().replying([ReplyKind::WrongOrigin, ReplyKind::Good]),
        Script::good().replying([ReplyKind::Garbage(48)]),
    ]
    .map(|script| playground.server(script));
    let polite = playground.server(Script::good());
    let home = Home::with(&configuration(&chronyds, &servers, &polite, &victoria));

    for nth in 0..KILLS {
        if nth == AWAY.start {
            victoria.shut_down();
        } else if nth == AWAY.end {
            victoria.start_again();
        }
        let monitor = home.start();
        // This does not wait for an event: the moment of the kill is random.
        std::thread::sleep(LONGEST_LIFE.mul_f64(rng.random()));
        monitor.kill();
    }
    let mut monitor = home.start();
    monitor.logged("\"started\"");
    until("the polite server was asked again", || polite.counters().requests > 1);
    // A slow machine may measure little between the kills.
    until("enough samples to compare", || rows::csv_so_far(&home.csv()).len() > 100);
    assert_eq!(monitor.stop(), 0, "{}", monitor.log());

    let left = Reader::open(&home.store()).unwrap().outbox_gauge().unwrap();
    assert_eq!(left.lines, 0, "lines are left in the outbox");

    let csv = rows::keys_once("the CSV file", &rows::csv(&home.csv()));
    let store = rows::keys_once("the store", &rows::store(&home.store()));
    rows::assert_same(("the CSV file", &csv), ("the store", &store));
    let expected = in_ms(&store);
    // It shows acknowledged points a moment later.
    until("the database shows as many points", || in_database(&victoria).len() >= expected.len());
    rows::assert_same(("the store, in ms", &expected), ("the database", &in_database(&victoria)));
    assert_polite(&polite);
}

/// The store records a request when its poll has ended. Here a kill comes before that, and a second kill while the next
/// process waits.
#[test]
fn unrecorded_request_keeps_the_minimum_interval() {
    let playground = Playground::open();
    let server = playground.server(Script::good());
    let home = Home::with(&other_peoples("polite", &server));
    let monitor = home.start();
    until("the first request", || server.counters().requests == 1);
    monitor.kill();
    for _ in 0..3 {
        let mut monitor = home.start();
        monitor.logged("polling servers");
        monitor.kill();
    }
    let mut monitor = home.start();
    until("the second request", || server.counters().requests > 1);
    assert_eq!(monitor.stop(), 0);
    assert_polite(&server);
}

#[test]
fn poll_in_progress_at_shutdown_is_recorded() {
    let playground = Playground::open();
    let server = playground.server(Script::good().delayed(Duration::from_millis(300), Duration::from_millis(300)));
    let home = Home::with(&other_peoples("polite", &server));
    let mut monitor = home.start();
    until("the first request", || server.counters().requests == 1);
    assert_eq!(monitor.stop(), 0);
    let (csv, store) = (rows::csv(&home.csv()), rows::store(&home.store()));
    assert_eq!((csv.len(), store.len()), (1, 1));
    assert!(csv[0].outcome.is_success() && store[0].outcome.is_success());
}

/// The store commits a batch before CSV gets it. After a kill in between, the next start writes the missing rows, even
/// if there is no file yet.
#[test]
fn rows_lost_by_a_kill_are_written_by_the_next_run() {
    let playground = Playground::open();
    let server = playground.server(Script::good());
    let home = Home::with(&own("a", server.address()));
    let monitor = home.start();
    until("a sample in the store", || {
        Reader::open(&home.store()).is_ok_and(|reader| reader.since(0).next().is_some_and(|stored| stored.is_ok()))
    });
    monitor.kill();
    let mut monitor = home.start();
    monitor.logged("polling servers");
    assert_eq!(monitor.stop(), 0);
    let csv = rows::keys_once("the CSV file", &rows::csv(&home.csv()));
    rows::assert_same(("the CSV file", &csv), ("the store", &rows::keys_once("it", &rows::store(&home.store()))));
}

fn seeded() -> StdRng {
    let seed = std::env::var(SEED).map_or_else(|_| rand::random(), |seed| seed.parse().unwrap());
    println!("{SEED}={seed}");
    StdRng::seed_from_u64(seed)
}

fn configuration(chronyds: &[Chronyd], own_ones: &[ScriptedServer], polite: &ScriptedServer, to: &Victoria) -> String {
    let chronyds = chronyds.iter().map(|chronyd| own(&format!("chronyd-{}", chronyd.address.ip()), chronyd.address));
    let mut text: String = chronyds.collect();
    for (nth, server) in own_ones.iter().enumerate() {
        text += &own(&format!("own-{nth}"), server.address());
    }
    let influxdb = "org = \"o\"\nbucket = \"b\"\ntoken = \"t\"\nflush_interval = \"200ms\"\ntimeout = \"5s\"";
    text += &other_peoples("polite", polite);
    format!("{text}[influxdb]\nurl = \"{}\"\n{influxdb}\n", to.url())
}

/// A `[[server]]` without `own`, polled at the minimum interval.
fn other_peoples(name: &str, server: &ScriptedServer) -> String {
    format!("[[server]]\nname = {name:?}\naddress = \"{}\"\npoll_interval = \"16s\"\n", server.address())
}

/// The database keeps milliseconds; a server is never polled twice within one.
fn in_ms(keys: &BTreeSet<rows::Key>) -> BTreeSet<rows::Key> {
    let keys_in_ms: BTreeSet<_> = keys.iter().cloned().map(|(s, a, ns)| (s, a, ns.div_euclid(1_000_000))).collect();
    assert_eq!(keys_in_ms.len(), keys.len());
    keys_in_ms
}

/// Every point of the database; the test fails if one is duplicated.
fn in_database(victoria: &Victoria) -> BTreeSet<rows::Key> {
    let mut points = BTreeSet::new();
    for series in victoria.export("ntp_sample_success") {
        let tag = |name: &str| series["metric"][name].as_str().unwrap_or("").to_owned();
        assert_eq!(tag("vantage"), "here");
        for ms in series["timestamps"].as_array().unwrap() {
            let key = (tag("server"), tag("address"), ms.as_i64().unwrap());
            assert!(points.insert(key.clone()), "the database has {key:?} twice");
        }
    }
    points
}

/// Checks that no two requests were closer than the minimum interval of public servers.
fn assert_polite(server: &ScriptedServer) {
    const FLOOR: Duration = Duration::from_secs(16);
    // On a busy machine both ends may be late.
    const LATE: Duration = Duration::from_millis(500);
    let arrivals = server.arrivals();
    for pair in arrivals.windows(2) {
        let gap = pair[1].since(pair[0]);
        assert!(gap >= FLOOR - LATE, "asked again after {gap:?}");
    }
}
