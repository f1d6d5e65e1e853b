//! State for tests of handlers, without a service.

use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::{broadcast, watch};

use super::State;
use super::api::test::Tester;
use super::audit::Audit;
use super::config_editor::ConfigEditor;
use super::live::{Hub, Sources};
use super::renewal::Renewal;
use crate::clock::SystemClock;
use crate::config::{self, Environment};
use crate::probe::Engines;
use crate::probe::resolve::system::SystemResolver;
use crate::store::{Options, Store};
use ntp_monitor_core::health::report::Health;
use ntp_monitor_core::stats::snapshot::Snapshot;

/// State with `health`, one configured server `a.example`, and an empty store, which is deleted with the directory.
pub(super) fn state(health: Health) -> (State, TempDir) {
    let dir = TempDir::new().unwrap();
    let settings = [("NTP_SERVER", "a.example"), ("NTP_MONITOR__MONITOR__DATA_DIR", dir.path().to_str().unwrap())];
    let environment: Environment = settings.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    let config = config::load(None, &environment, &[]).unwrap().config;
    let store_options = Options::from_config(&config);
    let config = watch::Sender::new(Arc::new(config));
    let log = slog::Logger::root(slog::Discard, slog::o!());
    let store = Store::open(store_options, &log).unwrap().handle();
    let started = crate::clock::now();
    let health = watch::channel(Arc::new(health)).1;
    let snapshot = watch::channel(Arc::new(Snapshot::empty(started))).1;
    let samples = broadcast::Sender::new(1);
    let alerts = watch::channel(Arc::default()).1;
    let sources = Sources {
        samples: samples.subscribe(),
        snapshot: snapshot.clone(),
        health: health.clone(),
        alerts: alerts.clone(),
    };
    let audit = Audit::start(store.clone(), &log);
    let state = State {
        health,
        snapshot,
        renewal: Renewal::new(config.clone(), &log),
        config: config.subscribe(),
        store,
        clock: Arc::new(SystemClock),
        started,
        hub: Hub::start(started, sources),
        samples,
        ledger: crate::actors::ledger::Ledger::default(),
        sheets: crate::actors::sheets::Sheets::default(),
        alerts,
        silences: Arc::new(watch::Sender::new(0)),
        config_editor: ConfigEditor::new(None).0,
        audit,
        setup: Arc::default(),
        tester: Tester::new(&Engines::new(&log), Arc::new(SystemResolver::new(Duration::from_secs(1)))),
        fleet: crate::fleet::handle::Fleet::default(),
    };
    (state, dir)
}
