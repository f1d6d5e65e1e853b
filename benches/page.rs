//! The loading and drawing times of the page in Chromium, with 1,000 servers and 90 days of history of 64 of them.
//!
//! `make bench-page` (or `cargo bench --bench page` after a build of the page); takes about two minutes. The program
//! runs in a separate process, the servers that it polls run in this process, and `web/scripts/page-times.mjs` drives
//! the browser and prints the table.

#![allow(clippy::print_stdout, missing_docs, reason = "a bench prints its table and has no callers")]

mod support;

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ntp_monitor::config::{self, Environment};
use ntp_monitor::sinks::worker::BatchWriter;
use ntp_monitor::store::{Options, Store};
use ntp_monitor_core::world::World;
use slog::{Discard, Logger, o};
use support::program::Program;
use support::servers::Servers;
use support::{Setting, addresses};

type Failure = Box<dyn std::error::Error>;

const MANY: usize = 1000;
/// Number of servers with history, as many as the heat map draws.
const WITH_HISTORY: usize = 64;
const HISTORY_S: f64 = 90.0 * 86_400.0;
/// Charts of 90 days use hourly rollups, whose number does not depend on the poll interval.
const POLL_S: f64 = 600.0;
const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> Result<(), Failure> {
    // `cargo test --benches` only checks that it builds and starts.
    if !std::env::args().any(|arg| arg == "--bench") {
        return Ok(());
    }
    let servers = Servers::start()?;
    let dir = tempfile::tempdir()?;
    let asked = addresses(1, MANY);
    let setting =
        Setting { data_dir: dir.path(), servers: &asked, port: servers.port, own: false, poll: "16s", more: "" };
    let file = setting.write()?;
    fill(&file)?;
    let program = Program::start(&file, dir.path())?;
    let begun = Instant::now();
    while servers.count() < MANY && begun.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(100));
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("web/scripts/page-times.mjs");
    let url = format!("http://{}", program.address);
    let status = Command::new("node").arg(script).arg(url).arg(program.id().to_string()).status()?;
    if status.success() { Ok(()) } else { Err("the measurement in the browser failed".into()) }
}

/// The history of the first servers, as a service would have recorded it.
fn fill(file: &Path) -> Result<(), Failure> {
    let config = config::load(Some(file), &Environment::new(), &[])?.into_config();
    let mut world = World::ordinary(7, WITH_HISTORY, POLL_S, HISTORY_S);
    world.start_unix_s = ntp_monitor::clock::now().wall_ns / 1_000_000_000 - HISTORY_S as i64;
    for (server, configured) in world.servers.iter_mut().zip(&config.servers) {
        server.ident = Arc::clone(&configured.ident);
        if let config::Host::Address(ip) = configured.host {
            server.address = (ip, configured.port).into();
        }
    }
    let store = Store::open(Options::from_config(&config), &Logger::root(Discard, o!()))?;
    let mut writer = store.writer(None);
    let mut batch = Vec::with_capacity(4096);
    for sample in world.samples() {
        batch.push(Arc::new(sample));
        if batch.len() == batch.capacity() {
            writer.write(&batch)?;
            batch.clear();
        }
    }
    writer.write(&batch)?;
    Ok(())
}
