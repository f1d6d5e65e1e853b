//! The reaction of a scripted server to a request: data in, datagrams out.

use std::time::Duration;

use rand::{Rng, RngExt};

use super::clock::ServerClock;
use super::reply::{Header, ReplyKind, Sender};
use super::request::{Request, TRANSMIT};
use ntp_monitor_core::clock::Stamp;
use ntp_monitor_core::ntp::{KissCode, Leap, RefId};

/// The behaviour of a scripted server. All parts can be combined; start with [`Script::good`].
#[derive(Debug, Clone, PartialEq)]
pub struct Script {
    pub clock: ServerClock,
    /// Its description of itself.
    pub header: Header,
    /// The datagrams sent for each request, in order; none for a silent server, two good ones for a duplicate.
    pub replies: Vec<ReplyKind>,
    /// When it starts to send kisses-o'-death.
    pub kiss: Option<KissRule>,
    /// The share of requests that are lost, from 0 to 1.
    pub loss: f64,
    /// Delay before the server timestamps a request.
    pub request_delay: Duration,
    /// Delay after the server has timestamped a reply.
    pub reply_delay: Duration,
    /// Whether it drops requests with anything after the header.
    pub plain_only: bool,
}

/// From some request on, the server replies only with a kiss-o'-death.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KissRule {
    pub code: KissCode,
    /// Number of requests that are answered normally before.
    pub after_requests: u64,
}

/// One datagram to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    /// Delay after the arrival of the request.
    pub delay: Duration,
    /// The datagram, complete except for the transmit time.
    pub datagram: Vec<u8>,
    /// How to set the transmit time.
    pub transmit: Transmit,
    /// Where it is sent from.
    pub sender: Sender,
}

/// How the transmit time of a datagram is set when it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transmit {
    /// The datagram is not changed.
    AsWritten,
    /// The server's clock at the moment of sending, moved by this number of nanoseconds.
    AtSending {
        /// Negative to simulate a reply that has already been in transit when it is sent.
        shift_ns: i64,
    },
}

impl Script {
    /// A server with the correct time.
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
            plain_only: false,
        }
    }

    /// A server that is ahead by `offset_ns` nanoseconds (behind if negative).
    #[must_use]
    pub fn offset_ns(mut self, offset_ns: i64) -> Self {
        self.clock.offset_ns = offset_ns;
        self
    }

    /// A server that runs fast by `ppm` parts per million, from its start on.
    #[must_use]
    pub fn drifting(mut self, ppm: f64) -> Self {
        self.clock.drift_ppm = ppm;
        self
    }

    /// A path that loses this share of the requests.
    #[must_use]
    pub fn losing(mut self, ratio: f64) -> Self {
        self.loss = ratio.clamp(0.0, 1.0);
        self
    }

    /// A server whose clock shows whole multiples of `grain_ns` nanoseconds.
    #[must_use]
    pub fn ticking(mut self, grain_ns: i64) -> Self {
        self.clock.grain_ns = grain_ns;
        self
    }

    /// A server that drops requests with extension fields.
    #[must_use]
    pub fn plain_only(mut self) -> Self {
        self.plain_only = true;
        self
    }

    /// A path with the delay `request` to the server and `reply` back.
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

    /// A server that answers `after_requests` requests and then sends only `code`.
    #[must_use]
    pub fn kissing(mut self, code: KissCode, after_requests: u64) -> Self {
        self.kiss = Some(KissRule { code, after_requests });
        self
    }

    /// A server that reports its clock as unsynchronised.
    #[must_use]
    pub fn unsynchronised(mut self) -> Self {
        self.header.leap = Leap::Unknown;
        self.header.stratum = 16;
        self.header.refid = RefId([0; 4]);
        self
    }

    /// A server that has started and is not synchronised yet, as ntpd and NTPsec send it.
    #[must_use]
    pub fn starting(self) -> Self {
        self.header(Header {
            leap: Leap::Unknown,
            stratum: 0,
            refid: RefId(*b"INIT"),
            precision_log2: -24,
            root_delay_s: 0.0,
            root_dispersion_s: 0.019_531_25,
            reference_age_s: None,
        })
    }

    /// A server with this description of itself.
    #[must_use]
    pub fn header(mut self, header: Header) -> Self {
        self.header = header;
        self
    }

    /// The actions of a server started at `start` for its `nth` request (from 0), which arrived at `arrival`.
    pub fn answer(&self, request: &Request, nth: u64, start: Stamp, arrival: Stamp, rng: &mut impl Rng) -> Vec<Action> {
        if (self.plain_only && request.has_trailer) || (self.loss > 0.0 && rng.random_bool(self.loss)) {
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
                    sender: kind.sender(),
                }
            })
            .collect()
    }

    /// Sets the transmit time of `action`, which a server started at `start` sends at `now`. A sleep that took too long
    /// counts as processing time of the server, so scripted delays remain exact.
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
        Request { version: 4, poll: 6, transmit: *b"\x01cookie\x02", has_trailer: false }
    }

    fn answer(script: &Script, nth: u64) -> Vec<Action> {
        script.answer(&request(), nth, START, at(0), &mut StdRng::seed_from_u64(1))
    }

    fn timestamp(datagram: &[u8], at: usize) -> NtpTimestamp {
        NtpTimestamp(u64::from_be_bytes(datagram[at..at + 8].try_into().unwrap()))
    }

    #[test]
    fn only_client_requests_are_parsed() {
        let mut datagram = [0; 48];
        datagram[0] = 0b0010_0011;
        datagram[40..].copy_from_slice(b"\x01cookie\x02");
        assert_eq!(Request::parse(&datagram), Some(Request { poll: 0, ..request() }));
        assert_eq!(Request::parse(&datagram[..47]), None);
        datagram[0] = 0b0010_0100;
        assert_eq!(Request::parse(&datagram), None);
    }

    #[test]
    fn server_of_plain_requests_drops_extension_fields() {
        let script = Script::good().plain_only();
        let of = |has_trailer| {
            let request = Request { has_trailer, ..request() };
            script.answer(&request, 0, START, at(0), &mut StdRng::seed_from_u64(1)).len()
        };
        assert_eq!((of(false), of(true)), (1, 0));
    }

    #[test]
    fn good_reply_echoes_the_cookie_and_has_server_time() {
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
    fn scripted_delays_are_exact_for_any_sleep_time() {
        let script = Script::good().delayed(Duration::from_millis(10), Duration::from_millis(30));
        let mut action = answer(&script, 0).remove(0);
        assert_eq!(action.delay, Duration::from_millis(40));
        script.stamp(&mut action, START, at(47_000_000));
        assert_eq!(timestamp(&action.datagram, 32), NtpTimestamp::from_unix_ns(at(10_000_000).wall_ns));
        assert_eq!(timestamp(&action.datagram, 40), NtpTimestamp::from_unix_ns(at(17_000_000).wall_ns));
    }

    #[test]
    fn kiss_rule_starts_after_its_number_of_requests() {
        let script = Script::good().kissing(KissCode::RATE, 2);
        assert_eq!(answer(&script, 1)[0].datagram[1], 1);
        let kiss = &answer(&script, 2)[0].datagram;
        assert_eq!((kiss[0] >> 6, kiss[1], &kiss[12..16]), (3, 0, b"RATE".as_slice()));
        assert_eq!(&kiss[24..32], b"\x01cookie\x02");
    }

    #[test]
    fn loss_matches_the_share_and_is_reproducible() {
        let lost = |seed| {
            let mut rng = StdRng::seed_from_u64(seed);
            let script = Script::good().losing(0.3);
            (0..1000).filter(|n| script.answer(&request(), *n, START, at(0), &mut rng).is_empty()).count()
        };
        assert!((250..350).contains(&lost(7)), "{}", lost(7));
        assert_eq!(lost(7), lost(7));
    }

    #[test]
    fn faulty_replies_have_the_requested_fault() {
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
    fn reply_too_short_for_a_transmit_time_is_unchanged() {
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
