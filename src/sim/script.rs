//! What a scripted server does with a request: data in, datagrams out.

use std::time::Duration;

use rand::{Rng, RngExt};

use super::clock::{ServerClock, Step};
use super::reply::{Header, ReplyKind};
use super::request::{Request, TRANSMIT};
use ntp_monitor_core::clock::Stamp;
use ntp_monitor_core::ntp::{KissCode, Leap};

/// The behaviour of a scripted server. Every part can be combined with every other; [`Script::good`] is the start.
#[derive(Debug, Clone, PartialEq)]
pub struct Script {
    /// What time the server believes it is.
    pub clock: ServerClock,
    /// What it says of itself.
    pub header: Header,
    /// The datagrams with which it answers each request, in order; none is silence, two good ones are a duplicate.
    pub replies: Vec<ReplyKind>,
    /// When it has had enough.
    pub kiss: Option<KissRule>,
    /// The share of requests that are lost on the way, 0 to 1.
    pub loss: f64,
    /// How long a request travels before the server stamps it.
    pub request_delay: Duration,
    /// How long a reply travels after the server has stamped it.
    pub reply_delay: Duration,
}

/// From some request on, the server answers with a kiss-o'-death only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KissRule {
    /// The code.
    pub code: KissCode,
    /// How many requests are answered properly before.
    pub after_requests: u64,
}

/// One datagram to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    /// How long after the request arrived.
    pub delay: Duration,
    /// The datagram, complete but for the transmit time.
    pub datagram: Vec<u8>,
    /// What the transmit time is to be.
    pub transmit: Transmit,
    /// Whether it leaves from another port than the one that was asked.
    pub from_other_port: bool,
}

/// How the transmit time of a datagram is filled in, at the last moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transmit {
    /// The datagram stays as it is.
    AsWritten,
    /// The server's clock at the moment of sending, moved by so many nanoseconds.
    AtSending {
        /// Negative for a reply that was under way before it is really sent.
        shift_ns: i64,
    },
}

impl Script {
    /// A server that is right.
    #[must_use]
    pub fn good() -> Self {
        Self {
            clock: ServerClock::default(),
            header: Header::default(),
            replies: vec![ReplyKind::Good],
            kiss: None,
            loss: 0.0,
            request_delay: Duration::ZERO,
            reply_delay: Duration::ZERO,
        }
    }

    /// A server that is ahead by a constant number of nanoseconds (behind when negative).
    #[must_use]
    pub fn offset_ns(mut self, offset_ns: i64) -> Self {
        self.clock.offset_ns = offset_ns;
        self
    }

    /// A server that runs fast by so many parts per million from its start on.
    #[must_use]
    pub fn drifting(mut self, ppm: f64) -> Self {
        self.clock.drift_ppm = ppm;
        self
    }

    /// A server whose time jumps by `by_ns` once it has run for `after`.
    #[must_use]
    pub fn stepping(mut self, after: Duration, by_ns: i64) -> Self {
        self.clock.step = Some(Step { after, by_ns });
        self
    }

    /// A path that loses this share of the requests.
    #[must_use]
    pub fn losing(mut self, ratio: f64) -> Self {
        self.loss = ratio.clamp(0.0, 1.0);
        self
    }

    /// A path that takes `request` on the way there and `reply` on the way back.
    #[must_use]
    pub fn delayed(mut self, request: Duration, reply: Duration) -> Self {
        self.request_delay = request;
        self.reply_delay = reply;
        self
    }

    /// A server that answers each request with these datagrams; with none, it is silent.
    #[must_use]
    pub fn replying(mut self, replies: impl IntoIterator<Item = ReplyKind>) -> Self {
        self.replies = replies.into_iter().collect();
        self
    }

    /// A server that never answers.
    #[must_use]
    pub fn silent() -> Self {
        Self::good().replying([])
    }

    /// A server that answers `after_requests` requests and then sends nothing but `code`.
    #[must_use]
    pub fn kissing(mut self, code: KissCode, after_requests: u64) -> Self {
        self.kiss = Some(KissRule { code, after_requests });
        self
    }

    /// A server that says that its clock is not synchronised.
    #[must_use]
    pub fn unsynchronised(mut self) -> Self {
        self.header.leap = Leap::Unknown;
        self.header.stratum = 16;
        self
    }

    /// A server that says this of itself.
    #[must_use]
    pub fn header(mut self, header: Header) -> Self {
        self.header = header;
        self
    }

    /// What the server, started at `start`, does with the request that arrived at `arrival` as its `nth` (from 0).
    pub fn answer(&self, request: &Request, nth: u64, start: Stamp, arrival: Stamp, rng: &mut impl Rng) -> Vec<Action> {
        if self.loss > 0.0 && rng.random_bool(self.loss) {
            return Vec::new();
        }
        let received = self.clock.show(start, arrival, nanos(self.request_delay));
        let kiss = self.kiss.filter(|rule| nth >= rule.after_requests).map(|rule| [ReplyKind::Kiss(rule.code)]);
        let replies = kiss.as_ref().map_or(self.replies.as_slice(), |kiss| kiss.as_slice());
        replies
            .iter()
            .map(|kind| {
                let draft = kind.draft(&self.header, request, received, rng);
                let at_sending = |shift_ns| Transmit::AtSending { shift_ns: shift_ns - nanos(self.reply_delay) };
                Action {
                    delay: self.request_delay + self.reply_delay,
                    datagram: draft.datagram,
                    transmit: draft.transmit_shift_ns.map_or(Transmit::AsWritten, at_sending),
                    from_other_port: *kind == ReplyKind::OtherPort,
                }
            })
            .collect()
    }

    /// Fills in the transmit time of `action`, to be sent at `now` by the server started at `start`. A sleep that
    /// overshot counts as the server's own time, so scripted delays stay exact.
    pub fn stamp(&self, action: &mut Action, start: Stamp, now: Stamp) {
        if let Transmit::AtSending { shift_ns } = action.transmit {
            let time = self.clock.show(start, now, shift_ns);
            action.datagram[TRANSMIT].copy_from_slice(&time.0.to_be_bytes());
        }
    }
}

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;
    use ntp_monitor_core::ntp::NtpTimestamp;

    const START: Stamp = Stamp::new(1_800_000_000_000_000_000, 5_000_000_000, 0);

    fn at(ns: i64) -> Stamp {
        Stamp::new(START.wall_ns + ns, START.mono_ns + ns, 0)
    }

    fn request() -> Request {
        Request { version: 4, poll: 6, transmit: *b"\x01cookie\x02" }
    }

    fn answer(script: &Script, nth: u64) -> Vec<Action> {
        script.answer(&request(), nth, START, at(0), &mut StdRng::seed_from_u64(1))
    }

    fn timestamp(datagram: &[u8], at: usize) -> NtpTimestamp {
        NtpTimestamp(u64::from_be_bytes(datagram[at..at + 8].try_into().unwrap()))
    }

    #[test]
    fn only_a_clients_request_is_one() {
        let mut datagram = [0; 48];
        datagram[0] = 0b0010_0011;
        datagram[40..].copy_from_slice(b"\x01cookie\x02");
        assert_eq!(Request::parse(&datagram), Some(Request { poll: 0, ..request() }));
        assert_eq!(Request::parse(&datagram[..47]), None);
        datagram[0] = 0b0010_0100;
        assert_eq!(Request::parse(&datagram), None);
    }

    #[test]
    fn a_good_reply_echoes_the_cookie_and_carries_the_servers_time() {
        let script = Script::good().offset_ns(80_000_000);
        let mut action = answer(&script, 0).remove(0);
        script.stamp(&mut action, START, at(3_000));
        assert_eq!(action.datagram.len(), 48);
        assert_eq!(action.datagram[0], 0b0010_0100);
        assert_eq!(&action.datagram[24..32], b"\x01cookie\x02");
        assert_eq!(timestamp(&action.datagram, 32), NtpTimestamp::from_unix_ns(at(80_000_000).wall_ns));
        assert_eq!(timestamp(&action.datagram, 40), NtpTimestamp::from_unix_ns(at(80_003_000).wall_ns));
    }

    #[test]
    fn scripted_delays_are_exact_however_long_the_sleep_really_took() {
        let script = Script::good().delayed(Duration::from_millis(10), Duration::from_millis(30));
        let mut action = answer(&script, 0).remove(0);
        assert_eq!(action.delay, Duration::from_millis(40));
        script.stamp(&mut action, START, at(47_000_000));
        assert_eq!(timestamp(&action.datagram, 32), NtpTimestamp::from_unix_ns(at(10_000_000).wall_ns));
        assert_eq!(timestamp(&action.datagram, 40), NtpTimestamp::from_unix_ns(at(17_000_000).wall_ns));
    }

    #[test]
    fn a_kiss_rule_begins_after_its_number_of_requests() {
        let script = Script::good().kissing(KissCode::RATE, 2);
        assert_eq!(answer(&script, 1)[0].datagram[1], 1);
        let kiss = &answer(&script, 2)[0].datagram;
        assert_eq!((kiss[0] >> 6, kiss[1], &kiss[12..16]), (3, 0, b"RATE".as_slice()));
        assert_eq!(&kiss[24..32], b"\x01cookie\x02");
    }

    #[test]
    fn loss_is_the_given_share_and_the_same_for_the_same_seed() {
        let lost = |seed| {
            let mut rng = StdRng::seed_from_u64(seed);
            let script = Script::good().losing(0.3);
            (0..1000).filter(|n| script.answer(&request(), *n, START, at(0), &mut rng).is_empty()).count()
        };
        assert!((250..350).contains(&lost(7)), "{}", lost(7));
        assert_eq!(lost(7), lost(7));
    }

    #[test]
    fn replies_that_are_wrong_are_wrong_in_the_way_that_was_asked_for() {
        let bytes = |kind| answer(&Script::good().replying([kind]), 0).remove(0).datagram;
        assert_ne!(&bytes(ReplyKind::WrongOrigin)[24..32], b"\x01cookie\x02");
        assert_ne!(&bytes(ReplyKind::ForgedKiss(KissCode::DENY))[24..32], b"\x01cookie\x02");
        assert_eq!(bytes(ReplyKind::Short(20)).len(), 20);
        assert_eq!(bytes(ReplyKind::Long(13)).len(), 61);
        assert_eq!(bytes(ReplyKind::Garbage(5)).len(), 5);
        assert_eq!(bytes(ReplyKind::ZeroTimestamps)[32..48], [0; 16]);
        assert_eq!(bytes(ReplyKind::CryptoNak)[48..], [0; 4]);
        assert_eq!(bytes(ReplyKind::Mode(5))[0], 0b0010_0101);
        assert_eq!(bytes(ReplyKind::Version(2))[0], 0b0001_0100);
        let future = bytes(ReplyKind::ReferenceInFuture);
        assert_eq!(timestamp(&future, 16).seconds_since(timestamp(&future, 32)), 3600.0);
    }

    #[test]
    fn a_reply_without_room_for_a_transmit_time_is_sent_as_it_is() {
        for kind in [ReplyKind::Short(47), ReplyKind::Short(0), ReplyKind::Garbage(48), ReplyKind::ZeroTimestamps] {
            let script = Script::good().replying([kind]);
            let mut action = answer(&script, 0).remove(0);
            assert_eq!(action.transmit, Transmit::AsWritten);
            let before = action.datagram.clone();
            script.stamp(&mut action, START, at(0));
            assert_eq!(action.datagram, before);
        }
    }
}
