//! The engine that measures with the kernel's timestamps: T1 when the datagram is handed to the interface, T4 when the
//! reply comes from it. The load of this process does not affect the measurement.
//!
//! One query is always one datagram: a refusal is detected through the ICMP error in the error queue, not by asking again.
//! Each query uses its own socket on a random port, and 64 random bits that the reply must echo.

use std::io::ErrorKind;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;
use tokio::time::{Instant, timeout, timeout_at};

use super::fault::outcome_of;
use super::judge::{Arrival, Judgement, Request, Verdict, judge};
use super::precision::{own_precision_s, uninterrupted_stamp};
use super::stamped::{BUFFER_LEN, FreshSocket, KeepStamping, OpenError, Queued, Received, StampedSocket};
use super::{ProbeEngine, ProbeFuture, ProbeReport, Query};
use ntp_monitor_core::clock::Stamp;
use ntp_monitor_core::ntp::{Check, NtpTimestamp, Packet, RefId};
use ntp_monitor_core::sample::{Evidence, Outcome, Timestamping};

/// How long to wait for a transmit timestamp after the reply. It is made before the datagram is on the wire, so an
/// interface that has not delivered it by now provides none (many wireless drivers).
const STAMP_GRACE: Duration = Duration::from_millis(5);

/// Measures with kernel timestamps. Keeps no state between queries; cheap to clone.
#[derive(Debug, Clone)]
pub struct KernelEngine {
    own_precision_s: f64,
    _keep_stamping: Option<Arc<KeepStamping>>,
}

/// The kernel, or a sandbox around this process, provides no timestamps.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct NoStamps(OpenError);

impl Default for KernelEngine {
    fn default() -> Self {
        Self::new()
    }
}

impl KernelEngine {
    /// Creates the engine: measures the precision of this host's clock and enables the kernel's timestamping. Takes
    /// about a millisecond, 20 at most.
    #[must_use]
    pub fn new() -> Self {
        // If this fails, the queries fail as well and report the reason.
        Self { own_precision_s: own_precision_s(), _keep_stamping: KeepStamping::start().ok().map(Arc::new) }
    }

    /// Like [`ProbeEngine::probe`], but reports missing timestamps as an error.
    ///
    /// # Errors
    /// When the kernel provides no timestamps. Nothing was sent.
    pub async fn try_probe(self, query: Query) -> Result<ProbeReport, NoStamps> {
        let deadline = Instant::now() + query.timeout;
        let begun = FreshSocket::open(query.address)
            .and_then(|socket| Ok(Exchange::begin(socket, query, self.own_precision_s)?));
        match begun {
            Ok(exchange) => Ok(exchange.run(deadline).await),
            Err(OpenError::Io(error)) => Ok(ProbeReport::failed(crate::clock::now(), outcome_of(&error))),
            Err(no_stamps @ OpenError::NoStamps(_)) => Err(NoStamps(no_stamps)),
        }
    }
}

impl ProbeEngine for KernelEngine {
    fn probe(&self, query: Query) -> ProbeFuture {
        let engine = self.clone();
        Box::pin(async move {
            engine.try_probe(query).await.unwrap_or_else(|no_stamps| {
                ProbeReport::failed(crate::clock::now(), Outcome::Fault(no_stamps.to_string().into()))
            })
        })
    }
}

/// One query in progress.
struct Exchange {
    socket: StampedSocket,
    cookie: u64,
    query: Query,
    own_precision_s: f64,
    /// Both clocks just before the send call.
    sent: Stamp,
    transmit_stamp: Option<NtpTimestamp>,
    waited_for_stamp: bool,
    is_refused: bool,
    refused_transmit: Option<NtpTimestamp>,
    last_refused: Option<(Outcome, Timestamping)>,
    report: ProbeReport,
}

impl Exchange {
    /// Sends the request before registering the socket with the runtime.
    fn begin(socket: FreshSocket, query: Query, own_precision_s: f64) -> std::io::Result<Self> {
        // A server copies zero from a request without a transmit timestamp, so zero would not be secret.
        let cookie = rand::random::<u64>().max(1);
        let request = Packet::request(cookie).to_bytes();
        let sent = uninterrupted_stamp();
        socket.send(&request)?;
        let queued = socket.try_queued();
        let mut exchange = Self {
            socket: socket.listen()?,
            cookie,
            query,
            own_precision_s,
            sent,
            transmit_stamp: None,
            waited_for_stamp: false,
            is_refused: false,
            refused_transmit: None,
            last_refused: None,
            report: ProbeReport::failed(sent, Outcome::Timeout),
        };
        queued.into_iter().for_each(|message| exchange.note(message));
        Ok(exchange)
    }

    async fn run(mut self, deadline: Instant) -> ProbeReport {
        // `Timeout` is the initial outcome of the report.
        let outcome = timeout_at(deadline, self.exchange(deadline)).await.ok().flatten();
        if let Some(outcome) = outcome {
            self.report.outcome = outcome;
        } else if let Some((outcome, way)) = self.last_refused {
            self.report.outcome = outcome;
            self.report.timestamping = Some(way);
        }
        self.report.at = crate::clock::now();
        self.report
    }

    /// Listens until a datagram or an error decides the query; returns `None` at the deadline.
    async fn exchange(&mut self, deadline: Instant) -> Option<Outcome> {
        let mut buffer = [0; BUFFER_LEN];
        while Instant::now() < deadline {
            if self.is_refused {
                return Some(Outcome::Refused);
            }
            match self.socket.ready().await {
                Ok(ready) if ready.is_error() => self.read_error_queue(),
                Ok(_) => {}
                Err(error) => return Some(outcome_of(&error)),
            }
            if let Some(outcome) = self.receive_all(&mut buffer, deadline).await {
                return Some(outcome);
            }
        }
        None
    }

    fn read_error_queue(&mut self) {
        while let Some(message) = self.socket.try_queued() {
            self.note(message);
        }
    }

    fn note(&mut self, message: Queued) {
        match message {
            Queued::TransmitStamp(stamp) => {
                self.transmit_stamp.get_or_insert(stamp);
            }
            Queued::Refused => self.is_refused = true,
        }
    }

    /// Validates every waiting datagram; the first that decides the query ends it.
    async fn receive_all(&mut self, buffer: &mut [u8], deadline: Instant) -> Option<Outcome> {
        while Instant::now() < deadline {
            let received = match self.socket.try_receive(buffer) {
                Ok(received) => received,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
                // The error queue says whether it refuses the request; the next call no longer returns it.
                Err(error) if is_passing(&error) => continue,
                Err(error) => return Some(outcome_of(&error)),
            };
            let now = uninterrupted_stamp();
            self.wait_for_transmit_stamp().await;
            if let Some(outcome) = self.judge(&buffer[..received.len], &received, now) {
                return Some(outcome);
            }
            // A flood of datagrams must not starve the other queries of this thread.
            tokio::task::yield_now().await;
        }
        None
    }

    /// Waits at most once per query, so that a flood of datagrams does not cause as many pauses.
    async fn wait_for_transmit_stamp(&mut self) {
        if self.transmit_stamp.is_none() {
            self.read_error_queue();
        }
        if self.transmit_stamp.is_some() || self.waited_for_stamp {
            return;
        }
        self.waited_for_stamp = true;
        // A time-out means that there is no transmit timestamp.
        let _ = timeout(STAMP_GRACE, async {
            while self.transmit_stamp.is_none() && self.socket.stamp_or_error().await.is_ok() {
                self.read_error_queue();
            }
        })
        .await;
    }

    /// Returns the outcome if this datagram decides the query.
    fn judge(&mut self, datagram: &[u8], received: &Received, at: Stamp) -> Option<Outcome> {
        let sender = received.address?;
        let (t1, t4, way) = best_stamps(self.transmit_stamp, received.stamp, self.sent, at);
        let request = self.request(t1, received.local);
        let arrival = Arrival { datagram, sender, t4, received: at };
        let judgement = judge(&request, &arrival);
        let evidence = Arc::new(judgement.evidence(&request, &arrival));
        self.conclude(&judgement, evidence, way)
    }

    fn request(&self, t1: NtpTimestamp, own: Option<Ipv4Addr>) -> Request {
        Request {
            address: self.query.address,
            cookie: NtpTimestamp(self.cookie),
            t1,
            sent: self.sent,
            // For IPv6 it is a hash; loops over IPv6 are not detected (RFC 5905 §7.3).
            own_refid: own.map(|v4| RefId(v4.octets())),
            own_precision_s: self.own_precision_s,
            refused_transmit: self.refused_transmit,
        }
    }

    fn conclude(&mut self, judgement: &Judgement, evidence: Arc<Evidence>, way: Timestamping) -> Option<Outcome> {
        let outcome = match judgement.verdict {
            Verdict::Accepted(reply, measure) => {
                (self.report.reply, self.report.measure) = (Some(reply), Some(measure));
                Outcome::Sample
            }
            Verdict::Unsynchronised(reply, code) => {
                self.report.reply = Some(reply);
                Outcome::Unsynchronised(code)
            }
            Verdict::Kiss(code) => Outcome::Kiss(code),
            Verdict::Rejected(check) => {
                if judgement.answers_request() {
                    self.refused_transmit = Some(evidence.t3);
                }
                self.report.refuse(evidence);
                // A repetition says no more than the reply that it repeats, and a stranger's datagram says nothing.
                if judgement.concerns_server() && (check != Check::Duplicate || self.last_refused.is_none()) {
                    self.last_refused = Some((Outcome::Rejected(check), way));
                }
                return None;
            }
        };
        self.report.accepted = Some(evidence);
        self.report.timestamping = Some(way);
        Some(outcome)
    }
}

/// The best T1 and T4 of the same kind, and that kind. Missing timestamps are normal: many wireless drivers give no
/// transmit timestamps, and some sandboxes none at all. Mixing a kernel T1 with a userland T4 would bias the offset.
fn best_stamps(
    transmitted: Option<NtpTimestamp>,
    received: Option<NtpTimestamp>,
    sent_at: Stamp,
    received_at: Stamp,
) -> (NtpTimestamp, NtpTimestamp, Timestamping) {
    let ours = |stamp: Stamp| NtpTimestamp::from_unix_ns(stamp.wall_ns);
    match (transmitted, received) {
        (Some(t1), Some(t4)) => (t1, t4, Timestamping::Kernel),
        (None, Some(t4)) => (ours(sent_at), t4, Timestamping::KernelRx),
        (_, None) => (ours(sent_at), ours(received_at), Timestamping::Userland),
    }
}

/// Whether a receive call failed because of an ICMP error, and not because the socket cannot be used.
fn is_passing(error: &std::io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw);
    matches!(
        errno,
        Some(
            Errno::ECONNREFUSED
                | Errno::EHOSTUNREACH
                | Errno::ENETUNREACH
                | Errno::EHOSTDOWN
                | Errno::ENONET
                | Errno::ENOPROTOOPT
                | Errno::EOPNOTSUPP
                | Errno::EMSGSIZE
                | Errno::EPROTO
                | Errno::EACCES
        )
    )
}

#[cfg(test)]
#[path = "kernel_tests.rs"]
mod tests;
