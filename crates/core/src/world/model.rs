//! What a world is made of: servers with their paths, and faults.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::sample::ServerIdent;

/// A server and the path to it. Times in seconds.
#[derive(Debug, Clone)]
pub struct ServerModel {
    /// Its name.
    pub ident: Arc<ServerIdent>,
    /// Its address.
    pub address: SocketAddr,
    /// How often it is asked.
    pub poll_s: f64,
    /// Shortest round trip.
    pub delay_s: f64,
    /// How the shortest round trip is split: 0 evenly, ±1 all in one direction. Shifts offsets by half of it times delay.
    pub asymmetry: f64,
    /// Mean queueing in each direction.
    pub queue_s: f64,
    /// Share of packets that meet a queue twenty times as long.
    pub tail: f64,
    /// Share of polls that are lost.
    pub loss: f64,
    /// Noise of the server's own clock, one standard deviation.
    pub noise_s: f64,
    /// Constant error of the server's clock, positive when it is ahead.
    pub error_s: f64,
    /// As the server states it.
    pub root_delay_s: f64,
    /// As the server states it.
    pub root_dispersion_s: f64,
}

/// Something that goes wrong at a known time. Times are seconds since the beginning, sizes seconds.
#[derive(Debug, Clone, PartialEq)]
pub enum Fault {
    /// The own clock is set by `size_s`.
    LocalStep {
        /// When.
        at_s: f64,
        /// How far, positive forward.
        size_s: f64,
    },
    /// The own oscillator changes its rate, and nobody corrects it.
    LocalDrift {
        /// When.
        at_s: f64,
        /// By how much, positive when it gains.
        ppm: f64,
    },
    /// A server's clock is set.
    ServerStep {
        /// Which, by index.
        server: usize,
        /// When.
        at_s: f64,
        /// How far, positive forward.
        size_s: f64,
    },
    /// A server's clock changes its rate.
    ServerDrift {
        /// Which, by index.
        server: usize,
        /// When.
        at_s: f64,
        /// By how much, positive when it gains.
        ppm: f64,
    },
    /// One direction of a path becomes longer by `one_way_s`: the offset moves by half of it.
    RouteChange {
        /// Which, by index.
        server: usize,
        /// When.
        at_s: f64,
        /// When the old route returns.
        until_s: f64,
        /// By how much; positive on the way to the server (offsets rise), negative on the way back (they fall).
        one_way_s: f64,
    },
    /// A queue on the access link, shared by all.
    Congestion {
        /// From when.
        from_s: f64,
        /// Until when.
        until_s: f64,
        /// Mean extra wait on the way back.
        mean_s: f64,
    },
    /// A server smears an inserted leap second around this midnight (the others insert it).
    Smear {
        /// Which, by index.
        server: usize,
        /// The midnight, Unix time.
        midnight_unix_s: i64,
    },
    /// A server does not answer.
    Silence {
        /// Which, by index; `None` for all.
        server: Option<usize>,
        /// From when.
        from_s: f64,
        /// Until when.
        until_s: f64,
    },
    /// The monitor does not run.
    Pause {
        /// From when.
        from_s: f64,
        /// Until when.
        until_s: f64,
    },
}
