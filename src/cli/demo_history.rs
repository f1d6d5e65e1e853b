//! A simulated history for `ntp-monitor demo --history`, so that long charts have data: samples of the good servers,
//! one of which was wrong for six hours.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use slog::{Discard, Logger, o};

use crate::config::{Config, Host};
use crate::sinks::worker::BatchWriter;
use crate::store::{Options, Store};
use ntp_monitor_core::world::{Fault, World};

/// Rollups cover five minutes, so more polls would change no chart.
const POLL_S: f64 = 300.0;
const BATCH: usize = 4096;
/// Index of the wrong server; its error and how long it lasted.
const WRONG: usize = 1;
const SIZE_S: f64 = 0.04;
const WRONG_FOR_S: f64 = 6.0 * 3600.0;
/// How long ago that was, if the history is long enough.
const WRONG_AGO_S: f64 = 3.0 * 86_400.0;

/// Writes the history of the first `servers` of `config` into its store. No service may have it open.
///
/// # Errors
/// When the store cannot be written.
pub(super) fn write(config: &Config, servers: usize, length: Duration) -> Result<(), Box<dyn std::error::Error>> {
    let length_s = length.as_secs_f64();
    let mut world = World::lan(7, servers.min(config.servers.len()), POLL_S, length_s);
    world.start_unix_s = crate::clock::now().wall_ns / 1_000_000_000 - length_s as i64;
    // Readings of the monotonic clock from an earlier boot are not comparable.
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
