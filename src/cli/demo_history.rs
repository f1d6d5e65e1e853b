//! A simulated past for `ntp-monitor demo --history`: what the good servers would have measured, one of them wrong for six
//! hours, so that long charts have something to show.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use slog::{Discard, Logger, o};

use crate::config::{Config, Host};
use crate::sinks::worker::BatchWriter;
use crate::store::{Options, Store};
use ntp_monitor_core::world::{Fault, World};

/// Rollups are made of five minutes, so more polls would change no chart.
const POLL_S: f64 = 300.0;
const BATCH: usize = 4096;
/// The wrong server, counted from 0, how wrong it was, and for how long.
const WRONG: usize = 1;
const SIZE_S: f64 = 0.04;
const WRONG_FOR_S: f64 = 6.0 * 3600.0;
/// How long ago that was, if the past is long enough.
const WRONG_AGO_S: f64 = 3.0 * 86_400.0;

/// Writes the past of the first `servers` of `config` into its store, which no service has open.
///
/// # Errors
/// When the store cannot be written.
pub(super) fn write(config: &Config, servers: usize, length: Duration) -> Result<(), Box<dyn std::error::Error>> {
    let length_s = length.as_secs_f64();
    let mut world = World::lan(7, servers.min(config.servers.len()), POLL_S, length_s);
    world.start_unix_s = crate::clock::now().wall_ns / 1_000_000_000 - length_s as i64;
    // The monotonic clock of an earlier time means nothing now.
    world.has_raw = false;
    for (server, configured) in world.servers.iter_mut().zip(&config.servers) {
        server.ident = Arc::clone(&configured.ident);
        if let Host::Address(ip) = configured.host {
            server.address = SocketAddr::new(ip, configured.port);
        }
    }
    let at_s = (length_s - WRONG_AGO_S).max(length_s / 2.0);
    let step = |at_s, size_s| Fault::ServerStep { server: WRONG, at_s, size_s };
    world.faults = vec![step(at_s, SIZE_S), step(at_s + WRONG_FOR_S, -SIZE_S)];
    let store = Store::open(Options::from_config(config), &Logger::root(Discard, o!()))?;
    let mut writer = store.writer(None);
    let samples: Vec<_> = world.samples().map(Arc::new).collect();
    for batch in samples.chunks(BATCH) {
        writer.write(batch)?;
    }
    Ok(())
}
