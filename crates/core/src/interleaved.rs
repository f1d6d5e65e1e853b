//! Interleaved mode (RFC 9769): a server states in each reply when it really transmitted the previous reply. The
//! timestamp of the current reply is always a little early, because it is written before the reply is authenticated and
//! sent.
//!
//! A client remembers one exchange and quotes the server's receive timestamp of it in the next request. The reply is
//! basic when it repeats the transmit field of the request, and interleaved when it repeats the receive field. Both
//! fields are random, so an interleaved reply is as hard to forge as a basic one.

use std::net::SocketAddr;

use crate::clock::Stamp;
use crate::ntp::NtpTimestamp;
use crate::sample::{Mode, Timestamping};

/// When requests are made in interleaved mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Policy {
    /// While the previous exchange is at most [`Policy::AUTO_AGE_NS`] old, so that its age adds at most 60 µs to the
    /// root distance, and not for an hour after a server sent unexpected replies.
    #[default]
    Auto,
    /// While the previous exchange is at most [`Policy::LONGEST_AGE_NS`] old.
    Always,
    /// Never.
    Never,
}

impl Policy {
    /// The age up to which [`Policy::Auto`] uses an exchange, in nanoseconds.
    pub const AUTO_AGE_NS: i64 = 4_000_000_000;
    /// The age up to which [`Policy::Always`] uses an exchange, in nanoseconds. The age adds 15 ppm to the root
    /// distance.
    pub const LONGEST_AGE_NS: i64 = 1_200_000_000_000;
    /// How long [`Policy::Auto`] pauses after a server sent unexpected replies, in nanoseconds.
    pub const REST_NS: i64 = 3_600_000_000_000;

    fn longest_age_ns(self) -> i64 {
        match self {
            Self::Auto => Self::AUTO_AGE_NS,
            Self::Always => Self::LONGEST_AGE_NS,
            Self::Never => 0,
        }
    }
}

/// Whether a server offers interleaved mode, as far as its replies show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Support {
    /// Unknown: there were not enough requests.
    #[default]
    Unknown,
    /// It has answered in interleaved mode.
    Offered,
    /// It has answered several requests in interleaved mode with basic replies.
    NotOffered,
}

/// One exchange, kept until the server states when it transmitted the reply.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Previous {
    /// The server that answered.
    pub server: SocketAddr,
    /// T1: the request left this host.
    pub t1: NtpTimestamp,
    /// T2: the request reached the server, as the reply stated. The next request quotes it.
    pub t2: NtpTimestamp,
    /// T4: the reply reached this host.
    pub t4: NtpTimestamp,
    /// How T1 and T4 were taken.
    pub timestamping: Timestamping,
    /// Both clocks just before the request left.
    pub sent: Stamp,
}

/// The times of the reply that states when the reply of a [`Previous`] exchange was transmitted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Next {
    /// T1 of its request.
    pub t1: NtpTimestamp,
    /// Its receive timestamp: T2 of its request.
    pub t2: NtpTimestamp,
    /// Its transmit timestamp: T3 of the previous exchange.
    pub t3: NtpTimestamp,
    /// When it reached this host.
    pub t4: NtpTimestamp,
}

impl Previous {
    /// Clocks may be slewed by up to 500 ppm between two exchanges.
    const SLEW: f64 = 500e-6;

    /// Whether a server clock that was not set in between can have written both replies. `tolerance_s` is the precision
    /// of the timestamps. It cannot receive the second request before it has sent the first reply. Compared with the
    /// first request, it cannot see the second one earlier by more than the first round trip, or later by more than the
    /// second one.
    #[must_use]
    pub fn is_continued_by(&self, next: &Next, tolerance_s: f64) -> bool {
        let age_s = next.t1.seconds_since(self.t1).abs();
        let tolerance_s = tolerance_s + age_s * Self::SLEW;
        let first_s = self.t4.seconds_since(self.t1) - next.t3.seconds_since(self.t2);
        let second_s = next.t4.seconds_since(next.t1);
        let later_s = next.t2.seconds_since(next.t1) - self.t2.seconds_since(self.t1);
        next.t2.seconds_since(next.t3) >= -tolerance_s
            && later_s >= -first_s.max(0.0) - tolerance_s
            && later_s <= second_s.max(0.0) + tolerance_s
    }
}

/// The basis of a request in interleaved mode.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Continued {
    /// The previous exchange.
    pub previous: Previous,
    /// A request that is sent later, by the monotonic clock in nanoseconds, uses basic mode.
    pub until_ns: i64,
}

/// The end of a query, as input for the next one.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Ended {
    /// Whether the request was in interleaved mode.
    pub was_asked: bool,
    /// The mode of the reply that was accepted, if one was.
    pub reply: Option<Mode>,
    /// Whether a reply in interleaved mode was refused because its times do not fit the previous exchange.
    pub is_odd: bool,
    /// The exchange, if a reply was accepted that gave a measurement.
    pub exchange: Option<Previous>,
}

/// Decides for one target which requests are made in interleaved mode.
#[derive(Debug, Clone)]
pub struct Interleaving {
    policy: Policy,
    support: Support,
    kept: Option<Previous>,
    /// Requests in interleaved mode in a row that were answered in basic mode.
    basic_in_row: u8,
    /// Requests in interleaved mode in a row that were not answered.
    lost_in_row: u8,
    /// With [`Policy::Auto`], interleaved mode pauses until this monotonic time.
    rests_until_ns: i64,
}

impl Interleaving {
    /// This many basic replies or losses in a row mean that a server does not offer interleaved mode, or drops such
    /// requests.
    const ENOUGH: u8 = 3;

    /// The state of a target that was not asked yet.
    #[must_use]
    pub const fn new(policy: Policy) -> Self {
        Self {
            policy,
            support: Support::Unknown,
            kept: None,
            basic_in_row: 0,
            lost_in_row: 0,
            rests_until_ns: i64::MIN,
        }
    }

    /// Follows another policy from the next request on.
    pub fn follow(&mut self, policy: Policy) {
        if policy != self.policy {
            *self = Self { support: self.support, ..Self::new(policy) };
        }
    }

    /// Whether the server offers interleaved mode, as far as its replies show.
    #[must_use]
    pub const fn support(&self) -> Support {
        self.support
    }

    /// The basis of the next request; `None` for a basic request. Each exchange is used once, even if the request
    /// fails.
    pub fn take(&mut self) -> Option<Continued> {
        let previous = self.kept.take()?;
        let until_ns = previous.sent.mono_ns.saturating_add(self.policy.longest_age_ns());
        Some(Continued { previous, until_ns })
    }

    /// Adds the end of a query. Without an accepted reply, the next request is basic.
    pub fn ended(&mut self, ended: &Ended, now_ns: i64) {
        if ended.was_asked {
            self.learn(ended, now_ns);
        }
        let is_wanted = match self.policy {
            Policy::Auto => now_ns >= self.rests_until_ns,
            Policy::Always => true,
            Policy::Never => false,
        };
        self.kept = ended.exchange.filter(|_| is_wanted);
    }

    fn learn(&mut self, ended: &Ended, now_ns: i64) {
        match ended.reply {
            Some(Mode::Interleaved) => (self.support, self.basic_in_row, self.lost_in_row) = (Support::Offered, 0, 0),
            Some(Mode::Basic) => {
                (self.basic_in_row, self.lost_in_row) = (self.basic_in_row.saturating_add(1), 0);
                if self.basic_in_row >= Self::ENOUGH {
                    self.support = Support::NotOffered;
                    self.rest(now_ns);
                }
            }
            None if ended.is_odd => self.rest(now_ns),
            None => {
                self.lost_in_row = self.lost_in_row.saturating_add(1);
                if self.lost_in_row >= Self::ENOUGH {
                    self.rest(now_ns);
                }
            }
        }
    }

    fn rest(&mut self, now_ns: i64) {
        (self.basic_in_row, self.lost_in_row) = (0, 0);
        self.rests_until_ns = now_ns.saturating_add(Policy::REST_NS);
    }
}

#[cfg(test)]
#[path = "interleaved_tests.rs"]
mod tests;
