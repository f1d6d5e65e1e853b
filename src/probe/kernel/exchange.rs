//! One query in progress: the request that was sent, and the judgements of the datagrams that arrived. Pure; the
//! callers have the sockets and clocks.

use std::net::SocketAddr;
use std::sync::Arc;

use super::super::endpoint::same_endpoint;
use super::super::judge::{Arrival, Judgement, Request, Verdict, judge};
use super::super::{ProbeReport, Query};
use super::message::Received;
use ntp_monitor_core::clock::Stamp;
use ntp_monitor_core::interleaved::{Ended, Previous};
use ntp_monitor_core::ntp::packet::HEADER_LEN;
use ntp_monitor_core::ntp::{Check, CheckRow, NtpTimestamp, Packet, RefId};
use ntp_monitor_core::nts::Opened;
use ntp_monitor_core::sample::{Authentication, Evidence, Mode, Outcome, Timestamping};

/// The variable fields of a request's header.
#[derive(Debug, Clone, Copy)]
pub(super) struct Carried {
    /// The transmit field. It must not be zero: a server copies zero from a request without a transmit timestamp, so
    /// zero would not be secret.
    pub cookie: u64,
    /// In interleaved mode: the receive field, which is also random, and the exchange whose T2 the origin field
    /// repeats.
    pub interleaved: Option<(u64, Previous)>,
}

impl Carried {
    pub fn header(&self) -> [u8; HEADER_LEN] {
        let mut packet = Packet::request(self.cookie);
        if let Some((cookie, previous)) = self.interleaved {
            (packet.origin, packet.receive) = (previous.t2, NtpTimestamp(cookie));
        }
        packet.to_bytes()
    }

    /// The random values that a reply to the request may repeat.
    pub fn cookies(&self) -> impl Iterator<Item = u64> {
        [Some(self.cookie), self.interleaved.map(|(cookie, _)| cookie)].into_iter().flatten()
    }
}

/// One query in progress.
#[derive(Debug)]
pub(super) struct Exchange {
    query: Query,
    carried: Carried,
    own_precision_s: f64,
    /// Both clocks just before the send call.
    sent: Stamp,
    transmit_stamp: Option<NtpTimestamp>,
    refused_transmit: Option<NtpTimestamp>,
    last_refused: Option<(Outcome, Timestamping)>,
    report: ProbeReport,
}

impl Exchange {
    /// A query whose request carries `carried`. `sent` is the time just before the send call.
    pub fn new(query: Query, carried: Carried, sent: Stamp, own_precision_s: f64) -> Self {
        // The outcome if no reply decides otherwise.
        let mut report = ProbeReport::failed(sent, Outcome::Timeout);
        if query.ticket.is_some() {
            report.authentication = Authentication::Nts;
        }
        report.interleaving.was_asked = carried.interleaved.is_some();
        Self {
            query,
            carried,
            own_precision_s,
            sent,
            transmit_stamp: None,
            refused_transmit: None,
            last_refused: None,
            report,
        }
    }

    pub fn cookies(&self) -> impl Iterator<Item = u64> {
        self.carried.cookies()
    }

    pub const fn address(&self) -> SocketAddr {
        self.query.address
    }

    /// When to stop waiting, in monotonic nanoseconds.
    pub fn deadline_ns(&self) -> i64 {
        let timeout_ns = i64::try_from(self.query.timeout.as_nanos()).unwrap_or(i64::MAX);
        self.sent.mono_ns.saturating_add(timeout_ns)
    }

    pub const fn lacks_stamp(&self) -> bool {
        self.transmit_stamp.is_none()
    }

    /// Records when the kernel transmitted the request.
    pub fn transmitted(&mut self, stamp: NtpTimestamp) {
        self.transmit_stamp.get_or_insert(stamp);
    }

    /// Whether an ICMP error about a datagram with `cookie` to `destination` is about this request.
    pub fn is_refused_by(&self, cookie: u64, destination: Option<SocketAddr>) -> bool {
        cookie == self.carried.cookie && destination.is_none_or(|to| same_endpoint(to, self.query.address))
    }

    /// Judges a datagram that was read at `now`. Returns the outcome if it decides the query.
    pub fn receive(&mut self, datagram: &[u8], received: &Received, now: Stamp) -> Option<Outcome> {
        let sender = received.address?;
        let (t1, t4, way) = best_stamps(self.transmit_stamp, received.stamp, self.sent, now);
        let request = self.request_data(t1, received);
        let arrival = Arrival { datagram, sender, hop_limit: received.hop_limit, t4, received: now };
        let judgement = judge(&request, &arrival);
        let evidence = Arc::new(judgement.evidence(&request, &arrival));
        let outcome = self.conclude(&judgement, evidence, way);
        if outcome.is_some() {
            self.keep(&judgement, t1, t4, way);
        }
        if let Some(opened) = judgement.opened {
            self.note(opened, judgement.row);
        }
        outcome
    }

    /// Records the parts of this exchange that the next request in interleaved mode needs.
    fn keep(&mut self, judgement: &Judgement, t1: NtpTimestamp, t4: NtpTimestamp, timestamping: Timestamping) {
        let is_kiss = matches!(judgement.verdict, Verdict::Kiss(_));
        let is_measured = matches!(judgement.verdict, Verdict::Accepted(..));
        let (server, sent) = (self.query.address, self.sent);
        let exchange = judgement.packet.filter(|_| is_measured).map(|packet| Previous {
            server,
            t1,
            t2: packet.receive,
            t4,
            timestamping,
            sent,
        });
        let reply = (!is_kiss).then_some(judgement.mode);
        self.report.interleaving = Ended { reply, exchange, ..self.report.interleaving };
    }

    /// Records the NTS results of a reply that matter for the next request.
    fn note(&mut self, opened: Opened, row: CheckRow) {
        let news = &mut self.report.nts;
        news.is_nak |= opened.is_nak;
        news.is_downgraded |= row.result(Check::Downgrade) == Some(false);
        // A duplicate contains the same cookies.
        if news.cookies.is_empty() && opened.repeats_id == Some(true) && opened.is_authentic == Some(true) {
            news.cookies = opened.cookies;
        }
    }

    fn request_data(&self, t1: NtpTimestamp, received: &Received) -> Request<'_> {
        Request {
            address: self.query.address,
            cookie: NtpTimestamp(self.carried.cookie),
            interleaved: self.carried.interleaved.map(|(cookie, previous)| (NtpTimestamp(cookie), previous)),
            t1,
            sent: self.sent,
            // Over IPv6 the identifier is a hash (RFC 5905 §7.3), so loops are not detected.
            own_refid: received.local.map(|v4| RefId(v4.octets())),
            own_precision_s: self.own_precision_s,
            refused_transmit: self.refused_transmit,
            ticket: self.query.ticket.as_deref(),
        }
    }

    fn conclude(&mut self, judgement: &Judgement, evidence: Arc<Evidence>, way: Timestamping) -> Option<Outcome> {
        let way = match (judgement.mode, self.carried.interleaved) {
            (Mode::Interleaved, Some((_, previous))) => previous.timestamping,
            _ => way,
        };
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
                if judgement.is_from_server() {
                    self.refused_transmit = Some(evidence.t3);
                    // A step of this host's clock is not the server's fault.
                    self.report.interleaving.is_odd |= judgement.mode == Mode::Interleaved && check != Check::LocalStep;
                }
                self.report.refuse(evidence);
                // A duplicate adds nothing to the reply that it repeats, and a datagram of another sender is ignored.
                if judgement.concerns_server() && (check != Check::Duplicate || self.last_refused.is_none()) {
                    self.last_refused = Some((Outcome::Rejected(check), way));
                }
                return None;
            }
        };
        self.report.accepted = Some(evidence);
        self.report.timestamping = Some(way);
        self.report.mode = judgement.mode;
        Some(outcome)
    }

    /// The report at `now`: with `outcome`, or without one at the deadline.
    pub fn end(mut self, outcome: Option<Outcome>, now: Stamp) -> ProbeReport {
        if let Some(outcome) = outcome {
            self.report.outcome = outcome;
        } else if let Some((outcome, way)) = self.last_refused {
            self.report.outcome = outcome;
            self.report.timestamping = Some(way);
        }
        self.report.at = now;
        self.report
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_label_says_which_stamps_the_kernel_gave() {
        let at = |wall_ns| Stamp::new(wall_ns, wall_ns, 0);
        let ntp = NtpTimestamp::from_unix_ns;
        let (sent, received) = (at(1_000), at(9_000));
        let (tx, rx) = (Some(ntp(2_000)), Some(ntp(8_000)));
        assert_eq!(best_stamps(tx, rx, sent, received), (ntp(2_000), ntp(8_000), Timestamping::Kernel));
        assert_eq!(best_stamps(None, rx, sent, received), (ntp(1_000), ntp(8_000), Timestamping::KernelRx));
        assert_eq!(best_stamps(tx, None, sent, received), (ntp(1_000), ntp(9_000), Timestamping::Userland));
        assert_eq!(best_stamps(None, None, sent, received), (ntp(1_000), ntp(9_000), Timestamping::Userland));
    }
}
