//! The recorded state of this host's clock, one row for each change: in the store, beside the CSV files, and in the
//! API.
use crate::common::monitor::{Home, own};
use crate::common::sim::Playground;
use crate::common::wait::until;
use ntp_monitor::sim::Script;
use ntp_monitor::sinks::csv::{local_files, read_local};
use ntp_monitor::store::read::Reader;
use ntp_monitor_core::formats::local::LocalRow;
use serde_json::{Value, json};

fn beside_the_samples(home: &Home) -> Vec<LocalRow> {
    let files = local_files(&home.csv()).unwrap_or_default();
    files.iter().flat_map(|file| read_local(file).unwrap().map(Result::unwrap)).collect()
}

#[test]
fn local_rows_are_stored_once_in_every_output() {
    let playground = Playground::open();
    let server = playground.server(Script::good());
    let home = Home::with(&own("a", server.address()));
    let mut monitor = home.start();
    until("a local row", || !beside_the_samples(&home).is_empty());
    let (status, history) = monitor.get("/api/v1/local/history");
    assert_eq!(monitor.stop(), 0);
    let stored = Reader::open(&home.store()).unwrap().local_rows(i64::MIN, i64::MAX, 1000).unwrap();
    let files: Vec<LocalRow> = beside_the_samples(&home);
    let unnamed: Vec<LocalRow> = files.iter().map(|row| LocalRow { vantage: String::new(), ..row.clone() }).collect();
    assert_eq!(unnamed, stored);
    assert!(files.iter().all(|row| row.vantage == "here"), "{files:?}");
    assert!(files.windows(2).all(|pair| pair[1].differs_from(&pair[0])), "{files:?}");
    let changes = history["changes"].as_array().cloned().unwrap_or_default();
    let known = |row: &LocalRow| serde_json::to_value(row).unwrap();
    assert_eq!((status, changes.first()), (200, files.first().map(known).as_ref()), "{history}");
    assert!(files[0].kernel_synchronised.is_some(), "the kernel can be asked without privileges");
    assert_eq!(changes[0].get("vantage"), Some(&json!("here")));
    assert_ne!(changes[0]["kernel_max_error_s"], Value::Null);
}
