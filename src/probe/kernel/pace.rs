//! Decides how long the thread of the engine waits before it reads its sockets again. Pure.
//!
//! Waking the thread costs more than everything else in a query, and the kernel's timestamps are right however late
//! they are read. So while several queries wait, the thread wakes once per tick and handles everything that has
//! arrived.

use std::time::Duration;

/// Interval at which the sockets are read while several queries wait.
pub(in crate::probe) const TICK: Duration = Duration::from_millis(20);
/// With fewer waiting queries than this, waking for each reply costs less than waking at each tick.
const SEVERAL: usize = 4;
const NS_PER_TICK: i64 = TICK.as_nanos() as i64;
/// Probers become due at multiples of [`TICK`], and the runtime's timers are up to two milliseconds late. So the
/// thread's ticks come this much later.
const LAG_NS: i64 = 4_000_000;

/// What the thread waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    /// Nothing: there is more to do at once.
    Nothing,
    /// A new query.
    Query,
    /// A new query or a readable socket, at most until this monotonic time in nanoseconds.
    Readable(i64),
    /// This monotonic time in nanoseconds.
    Tick(i64),
}

/// The state after the last pass over the sockets.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Load {
    /// Number of queries that wait for a reply.
    pub waiting: usize,
    /// Number of queries that could be sent at once.
    pub unsent: usize,
    /// Number of queries that could not be sent because a send buffer was full.
    pub deferred: usize,
    /// Whether the pass neither sent a request nor read anything about one.
    pub was_idle: bool,
    /// Whether the kernel gives no receive timestamps, so that each reply must be read when it arrives.
    pub is_unstamped: bool,
    /// The next deadline of a waiting query.
    pub next_deadline_ns: Option<i64>,
}

pub(super) fn wait(load: Load, now_ns: i64) -> Wait {
    let tick = Wait::Tick(((now_ns - LAG_NS).div_euclid(NS_PER_TICK) + 1) * NS_PER_TICK + LAG_NS);
    match load {
        Load { unsent: 1.., .. } => Wait::Nothing,
        Load { deferred: 1.., .. } => tick,
        Load { next_deadline_ns: None, .. } => Wait::Query,
        // Datagrams and errors that concern no query must not keep the thread busy.
        Load { was_idle: true, .. } => tick,
        Load { waiting, is_unstamped: false, .. } if waiting >= SEVERAL => tick,
        Load { next_deadline_ns: Some(deadline_ns), .. } => Wait::Readable(deadline_ns),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOME: Load = Load {
        waiting: 1,
        unsent: 0,
        deferred: 0,
        was_idle: false,
        is_unstamped: false,
        next_deadline_ns: Some(1_000_000_000),
    };

    #[test]
    fn many_queries_share_ticks_and_few_wake_the_thread() {
        assert_eq!(wait(SOME, 5), Wait::Readable(1_000_000_000));
        assert_eq!(wait(Load { waiting: 50, ..SOME }, 5), Wait::Tick(4_000_000));
        assert_eq!(wait(Load { waiting: 50, ..SOME }, 4_000_000), Wait::Tick(24_000_000));
        assert_eq!(wait(Load { waiting: 0, next_deadline_ns: None, ..SOME }, 5), Wait::Query);
    }

    #[test]
    fn without_receive_timestamps_each_reply_wakes_the_thread() {
        let load = Load { waiting: 50, is_unstamped: true, ..SOME };
        assert_eq!(wait(load, 5), Wait::Readable(1_000_000_000));
    }

    #[test]
    fn datagrams_of_strangers_wake_the_thread_once_a_tick() {
        assert!(matches!(wait(Load { was_idle: true, ..SOME }, 5), Wait::Tick(_)));
    }

    #[test]
    fn unsent_queries_are_sent_at_once_and_deferred_ones_later() {
        assert_eq!(wait(Load { unsent: 1, deferred: 1, ..SOME }, 5), Wait::Nothing);
        let deferred = Load { deferred: 1, waiting: 0, next_deadline_ns: None, ..SOME };
        assert!(matches!(wait(deferred, 5), Wait::Tick(_)));
    }
}
