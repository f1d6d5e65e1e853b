//! The service ends in time while its database hangs, and loses nothing by it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::common::monitor::{Home, own};
use crate::common::receiver::{Answer, Receiver, status};
use crate::common::rows;
use crate::common::sim::Playground;
use crate::common::wait::until;
use ntp_monitor::sim::Script;

/// Container engines kill after 10 s.
const ENDS_WITHIN: Duration = Duration::from_secs(8);

#[test]
fn stop_ends_in_time_while_influxdb_hangs_and_loses_nothing() {
    let playground = Playground::open();
    let server = playground.server(Script::good());
    let hangs = Arc::new(Mutex::new(true));
    let taken = Arc::new(Mutex::new(BTreeSet::new()));
    let (switch, lines) = (Arc::clone(&hangs), Arc::clone(&taken));
    let database = Receiver::start(move |request| {
        if *switch.lock().unwrap() {
            return Answer::Hang;
        }
        lines.lock().unwrap().extend(request.body.lines().filter(|l| l.starts_with("ntp_sample")).map(str::to_owned));
        status(204)
    });
    let influxdb = format!(
        "[influxdb]\nurl = \"{}\"\norg = \"o\"\nbucket = \"b\"\ntoken = \"t\"\nflush_interval = \"50ms\"\ntimeout = \"60s\"\n",
        database.url("")
    );
    let home = Home::with(&format!("{influxdb}{}", own("a", server.address())));
    let mut monitor = home.start();
    until("a request hangs", || database.count() > 0);
    let began = Instant::now();
    assert_eq!(monitor.stop(), 0);
    assert!(began.elapsed() < ENDS_WITHIN, "{:?}", began.elapsed());

    *hangs.lock().unwrap() = false;
    let before = rows::store(&home.store()).len();
    let mut monitor = home.start();
    until("the lines of the first run", || taken.lock().unwrap().len() > before);
    assert_eq!(monitor.stop(), 0);
    assert_eq!(taken.lock().unwrap().len(), rows::store(&home.store()).len());
}
