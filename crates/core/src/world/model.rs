//! The servers, network paths and faults of a simulation.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::sample::ServerIdent;

/// A server and the path to it. Times in seconds.
#[derive(Debug, Clone)]
pub struct ServerModel {
    /// The name and tags.
    pub ident: Arc<ServerIdent>,
    /// The address.
    pub address: SocketAddr,
    /// The poll interval.
    pub poll_s: f64,
    /// The minimum round-trip delay.
    pub delay_s: f64,
    /// The asymmetry of the minimum delay: 0 is even, ±1 is all in one direction. It shifts offsets by `asymmetry ·
    /// delay / 2`.
    pub asymmetry: f64,
    /// The mean queueing delay in each direction.
    pub queue_s: f64,
    /// The share of packets with a mean queueing delay twenty times as long, 0 to 1.
    pub tail: f64,
    /// The share of polls that are lost, 0 to 1.
    pub loss: f64,
    /// The noise of the server's clock (one standard deviation).
    pub noise_s: f64,
    /// The constant error of the server's clock, positive when it is ahead.
    pub error_s: f64,
    /// The root delay that the server reports.
    pub root_delay_s: f64,
    /// The root dispersion that the server reports.
    pub root_dispersion_s: f64,
    /// The number of the upstream that the server names in its reference identifier; servers with the same one share
    /// it.
    pub upstream: u8,
}

/// A fault at a known time. Times are seconds since the start of the simulation; sizes are seconds.
#[derive(Debug, Clone, PartialEq)]
pub enum Fault {
    /// The local clock is stepped.
    LocalStep {
        /// When the fault begins.
        at_s: f64,
        /// The size of the step, positive forward.
        size_s: f64,
    },
    /// The local oscillator changes its rate, without correction.
    LocalDrift {
        /// When the fault begins.
        at_s: f64,
        /// The rate change in ppm, positive when the clock gains.
        ppm: f64,
    },
    /// A server's clock is stepped.
    ServerStep {
        /// The index of the server.
        server: usize,
        /// When the fault begins.
        at_s: f64,
        /// The size of the step, positive forward.
        size_s: f64,
    },
    /// A server's clock changes its rate.
    ServerDrift {
        /// The index of the server.
        server: usize,
        /// When the fault begins.
        at_s: f64,
        /// The rate change in ppm, positive when the clock gains.
        ppm: f64,
    },
    /// One direction of a path becomes longer by `one_way_s`: the offset moves by half of it.
    RouteChange {
        /// The index of the server.
        server: usize,
        /// When the fault begins.
        at_s: f64,
        /// When the old route is restored.
        until_s: f64,
        /// The added delay; positive on the way to the server (offsets rise), negative on the way back (they fall).
        one_way_s: f64,
    },
    /// The access link that all servers share is congested.
    Congestion {
        /// When the fault begins.
        from_s: f64,
        /// When the fault ends.
        until_s: f64,
        /// The mean additional delay on the way back.
        mean_s: f64,
    },
    /// A server smears an inserted leap second around this midnight (the others insert it).
    Smear {
        /// The index of the server.
        server: usize,
        /// The midnight after the leap second, in Unix time.
        midnight_unix_s: i64,
    },
    /// A server is not polled: it was added later, or removed.
    Absent {
        /// The index of the server.
        server: usize,
        /// When the polls stop.
        from_s: f64,
        /// When they begin again.
        until_s: f64,
    },
    /// The offsets of a server are multiples of this, because its clock or its timestamping is coarse.
    Grain {
        /// The index of the server.
        server: usize,
        /// The unit.
        grain_s: f64,
    },
    /// A server selects another upstream again and again, and its stratum changes with it.
    Upstreams {
        /// The index of the server.
        server: usize,
        /// How long it keeps one, in seconds.
        every_s: f64,
    },
    /// A server does not answer.
    Silence {
        /// The index of the server; `None` for all.
        server: Option<usize>,
        /// When the fault begins.
        from_s: f64,
        /// When the fault ends.
        until_s: f64,
    },
    /// The monitor is not running.
    Pause {
        /// When the fault begins.
        from_s: f64,
        /// When the fault ends.
        until_s: f64,
    },
    /// The local clock is off from `at_s` on and steered back: by `size_s · exp(−t/tau)`, oscillating if `period_s` is
    /// finite.
    LocalSettling {
        /// When the fault begins.
        at_s: f64,
        /// The error at first, positive when the clock is ahead.
        size_s: f64,
        /// The time constant.
        tau_s: f64,
        /// The period of the oscillation; infinite for none.
        period_s: f64,
    },
    /// A daemon steers the local clock at another rate for a while. The raw clock is not steered.
    LocalSlew {
        /// When the fault begins.
        from_s: f64,
        /// When the fault ends.
        until_s: f64,
        /// The rate in ppm, positive when the clock gains.
        ppm: f64,
    },
    /// The machine is off, and its monotonic and raw clocks begin at zero again. `LocalStep` says how far the wall clock
    /// is wrong afterwards.
    Restart {
        /// When the machine is switched off.
        from_s: f64,
        /// When it runs again.
        until_s: f64,
    },
    /// All servers are polled at another interval.
    Interval {
        /// When it begins.
        from_s: f64,
        /// When it ends.
        until_s: f64,
        /// The interval.
        poll_s: f64,
    },
    /// A server announces a leap second that does not occur.
    LeapFlag {
        /// The index of the server.
        server: usize,
        /// When the fault begins.
        from_s: f64,
        /// When the fault ends.
        until_s: f64,
    },
    /// The machine is suspended. Its real-time clock continues; the monotonic and raw clocks stand still.
    Suspend {
        /// When the machine is suspended.
        from_s: f64,
        /// When it resumes.
        until_s: f64,
    },
    /// The machine is frozen, as during a migration: all of its clocks stand still, and none of them shows it.
    Freeze {
        /// When the machine is frozen.
        from_s: f64,
        /// When it continues.
        until_s: f64,
    },
    /// A leap second is inserted. The servers announce it for a day and insert it.
    Leap {
        /// The last second before it ends at this time.
        at_s: f64,
        /// Whether this host inserts it too.
        done: bool,
    },
    /// Both directions of a path change.
    Route {
        /// The index of the server.
        server: usize,
        /// When the fault begins.
        from_s: f64,
        /// When the old route is restored.
        until_s: f64,
        /// The added delay on the way to the server; may be negative.
        out_s: f64,
        /// The added delay on the way back; may be negative.
        back_s: f64,
    },
    /// A server answers wrongly now and then, as a name with one bad server behind it.
    Intermittent {
        /// The index of the server.
        server: usize,
        /// When the fault begins.
        from_s: f64,
        /// When the fault ends.
        until_s: f64,
        /// The error of a bad reply.
        size_s: f64,
        /// The share of bad replies, 0 to 1. Exactly every second reply for 0.5, by chance otherwise.
        share: f64,
    },
    /// A server's clock oscillates.
    ServerSine {
        /// The index of the server.
        server: usize,
        /// When the fault begins.
        from_s: f64,
        /// The largest error.
        amplitude_s: f64,
        /// The period.
        period_s: f64,
    },
    /// A server's clock wanders: a stationary first-order process.
    ServerWander {
        /// The index of the server.
        server: usize,
        /// One standard deviation.
        sigma_s: f64,
        /// The time constant.
        tau_s: f64,
    },
    /// The queue of a path wanders: its mean delay follows the square of a first-order process.
    Queue {
        /// The index of the server.
        server: usize,
        /// The mean delay.
        mean_s: f64,
        /// The time constant.
        tau_s: f64,
        /// The share of it on the way to the server, 0 to 1.
        share_out: f64,
    },
}
