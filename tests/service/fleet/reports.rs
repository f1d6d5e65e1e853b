//! A hub's report names its vantages, their clocks, and servers that are wrong from several places.

use jiff::tz::TimeZone;
use ntp_monitor::fleet::envelope::{Head, decode, encode};
use ntp_monitor::history::span::Span;
use ntp_monitor::report::make::make;
use ntp_monitor::report::material::Order;
use ntp_monitor::sinks::worker::BatchWriter;
use ntp_monitor::store::read::Reader;
use ntp_monitor::store::{Batch, Command, Position, Store};
use serde_json::Value;
use slog::{Discard, Logger, o};

use super::late::samples;
use crate::common::stored::options;

/// The store of a hub that does not poll, with an hour of three vantages; the clock of lon is 30 ms ahead.
fn store_of_a_hub(dir: &std::path::Path, now_ns: i64) -> std::path::PathBuf {
    let options = options(dir);
    let path = options.path.clone();
    let store = Store::open(options, &Logger::root(Discard, o!())).unwrap();
    let mut writer = store.writer(None);
    for (v, vantage) in ["ams", "ber", "lon"].into_iter().enumerate() {
        let mut all = samples(v, now_ns);
        // Servers of different networks are independent.
        for sample in &mut all {
            let network = sample.server.name[1..].parse().unwrap();
            sample.address = Some(([203, 0, network, 1], 123).into());
        }
        if vantage == "lon" {
            all.iter_mut().filter_map(|sample| sample.measure.as_mut()).for_each(|it| it.offset_s -= 0.03);
        }
        let incarnation = format!("{v:032x}");
        let head = Head { vantage, incarnation: &incarnation, first_seq: 0, lost_before: 0 };
        let position =
            Position { stream: "s".into(), vantage: "ams".into(), created: "now".into(), sequence: v as u64 + 1 };
        let received = vec![decode(vantage, &encode(head, &all)).unwrap()];
        let (reply, mut answer) = tokio::sync::oneshot::channel();
        writer.command(Command::FleetReceive {
            batch: Batch { positions: vec![position], received, refused: Vec::new(), own: None },
            reply,
        });
        answer.try_recv().unwrap().unwrap();
    }
    writer.tick(ntp_monitor::clock::now()).unwrap();
    path
}

#[test]
fn report_of_a_hub_names_vantages_clocks_and_wrong_servers() {
    let (dir, now_ns) = (tempfile::tempdir().unwrap(), ntp_monitor::clock::now().wall_ns);
    let reader = Reader::open(&store_of_a_hub(dir.path(), now_ns)).unwrap();
    let span = Span { from_ns: now_ns - 7_200_000_000_000, to_ns: now_ns };
    let order = Order { span, servers: Vec::new(), limit_s: 0.1, vantage: Some("hub1".into()), zone: TimeZone::UTC };
    let made = make(&reader, order, now_ns, &mut |_, _| ()).unwrap();
    assert!(!made.is_empty());
    for document in [made.html(), made.text()] {
        for part in ["ams", "ber", "lon", "s4 (3 of 3 places)", "wrong clocks of vantages: lon", "30.0 ms"] {
            assert!(document.contains(part), "{part}: {document}");
        }
    }
    let json: Value = serde_json::from_str(&made.json()).unwrap();
    let fleet = &json["fleet"];
    assert_eq!((&fleet["servers"][0]["server"], &fleet["servers"][0]["wrong_from"]), (&"s4".into(), &3.into()));
    let wrong: Vec<bool> =
        fleet["vantages"].as_array().unwrap().iter().map(|it| it["wrong_s"].as_f64() > Some(0.0)).collect();
    assert_eq!(wrong, [false, false, true], "{fleet}");
    assert_eq!(fleet["skew"].as_array().map(Vec::len), Some(3), "{fleet}");
}
