//! Derives the sheet of one server from its polls and from its answers to questions.

use std::net::SocketAddr;

use super::dispersion::Dispersions;
use super::grain::{Grain, Grains};
use super::question::{Question, Reaction};
use super::steady::{Effect, Steady};
use super::{Change, KissSeen, Nts, Reference, Seen, Sender, Sheet, Trait, Value};
use crate::clock::Stamp;
use crate::ntp::{Check, KissCode, Packet, RefId};
use crate::nts::Status;
use crate::sample::{Authentication, Evidence, Mode, Outcome};

/// A different value is a change when three replies in a row have it.
const REPLIES: u8 = 3;
/// An observation from several replies, or silence after a question, is a change at the second time.
const TWICE: u8 = 2;
/// A coarser grain is a change at the sixth time, because timestamps look coarser than they are by chance.
const COARSER: u8 = 6;
/// A grain is settled after this many observations in a row. Before that, a finer one only corrects it: the few
/// timestamps of the first observation look coarser than they are once in eight times.
const SETTLED: u8 = 4;
/// A single observation is proof.
const ONCE: u8 = 1;
/// A kiss-o'-death is part of the sheet for 30 days.
const KISS_FOR_NS: i64 = 30 * 86_400 * 1_000_000_000;

/// The observations of one server so far.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Watch {
    traits: [Steady; Trait::COUNT],
    receive: Grains,
    transmit: Grains,
    /// How many observations in a row agreed with the grain of the receive and the transmit timestamps.
    agreed: [u8; 2],
    dispersions: Dispersions,
    refid: Option<(RefId, u8)>,
    kiss: Option<KissSeen>,
    is_changed: bool,
}

impl Watch {
    /// A watch that continues from the sheet of an earlier process.
    #[must_use]
    pub fn continuing(sheet: &Sheet) -> Self {
        let mut watch = Self { refid: sheet.refid, kiss: sheet.kiss, ..Self::default() };
        for of in Trait::ALL {
            let value = sheet.values.get(&of).copied().filter(|value| of == Trait::RateLimit || !is_about_rate(*value));
            watch.traits[of as usize] = Steady::holding(value, sheet.varying.contains(&of));
        }
        for (agreed, of) in watch.agreed.iter_mut().zip([Trait::ReceiveGrain, Trait::TransmitGrain]) {
            *agreed = if sheet.values.contains_key(&of) { SETTLED } else { 0 };
        }
        watch
    }

    /// The sheet as it is known now.
    #[must_use]
    pub fn sheet(&self) -> Sheet {
        let steady = |of: &Trait| self.traits[*of as usize];
        Sheet {
            values: Trait::ALL.into_iter().filter_map(|of| Some((of, steady(&of).held?))).collect(),
            varying: Trait::ALL.into_iter().filter(|of| steady(of).varies).collect(),
            refid: self.refid,
            kiss: self.kiss,
        }
    }

    /// The value of one trait, if it is known.
    #[must_use]
    pub fn value(&self, of: Trait) -> Option<Value> {
        self.traits[of as usize].held
    }

    /// Whether the sheet differs from that at the last call.
    pub fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.is_changed)
    }

    /// Marks the series as changed, so that it is stored.
    pub(super) fn touch(&mut self) {
        self.is_changed = true;
    }

    /// Adds a poll. Returns the changes, usually none.
    pub fn observe(&mut self, seen: &Seen<'_>) -> Vec<Change> {
        let mut changes = Vec::new();
        self.observe_kiss(seen, &mut changes);
        if let Some(status) = seen.nts {
            self.observe_nts(status, &mut changes);
        }
        // The reply that was used, or one that was rejected by a check of its content or sender.
        let answer = seen.accepted.or_else(|| seen.rejected.iter().rev().map(|it| &**it).find(|it| is_answer(it)));
        if let Some(evidence) = answer
            && let Some(header) = evidence.datagram.first_chunk()
        {
            self.observe_reply(seen, evidence, &Packet::from_header(header), &mut changes);
        }
        changes
    }

    /// Adds the answer to a question, which arrived at `at` while the server is polled every `poll_s`. Returns the
    /// changes.
    pub fn answered(&mut self, question: Question, reaction: Reaction, at: Stamp, poll_s: f64) -> Vec<Change> {
        let mut changes = Vec::new();
        if let Reaction::Kiss(code) = reaction {
            self.kissed(code, KissSeen { wall_ns: at.wall_ns, poll_s }, &mut changes);
        }
        if is_about_rate(Value::Reaction(reaction)) {
            return changes;
        }
        let of = match question {
            Question::Version3 => Trait::Version3,
            Question::Version5 => Trait::Version5,
            Question::UnknownField => Trait::ExtensionFields,
        };
        // One datagram may be lost.
        let needed = if reaction == Reaction::Silent { TWICE } else { ONCE };
        self.note(of, Value::Reaction(reaction), needed, &mut changes);
        changes
    }

    /// Adds an observation of a trait from elsewhere, such as a key exchange that was made only for the sheet.
    pub fn learned(&mut self, of: Trait, value: Value) -> Vec<Change> {
        let mut changes = Vec::new();
        self.note(of, value, ONCE, &mut changes);
        changes
    }

    fn note(&mut self, of: Trait, value: Value, needed: u8, changes: &mut Vec<Change>) {
        let steady = &mut self.traits[of as usize];
        let change = match steady.observe(value, needed) {
            Effect::Nothing => return,
            Effect::First | Effect::Settled => None,
            Effect::From(before) => Some(Change { of, before, now: Some(value) }),
            Effect::Varies => steady.held.map(|before| Change { of, before, now: None }),
        };
        self.is_changed = true;
        changes.extend(change);
    }

    fn observe_kiss(&mut self, seen: &Seen<'_>, changes: &mut Vec<Change>) {
        let now_ns = seen.at.wall_ns;
        match seen.outcome {
            Outcome::Kiss(code) => {
                self.kissed(code.octets(), KissSeen { wall_ns: now_ns, poll_s: seen.poll_s }, changes);
            }
            Outcome::Sample => {
                let is_over = |kiss: KissSeen| now_ns.saturating_sub(kiss.wall_ns) > KISS_FOR_NS;
                if self.kiss.is_none_or(is_over) {
                    self.kiss = None;
                    self.note(Trait::RateLimit, Value::Kiss(None), ONCE, changes);
                }
            }
            _ => {}
        }
    }

    fn kissed(&mut self, code: [u8; 4], kiss: KissSeen, changes: &mut Vec<Change>) {
        // The state before was "no kiss seen", so the first kiss is a change.
        if self.value(Trait::RateLimit).is_none() {
            self.note(Trait::RateLimit, Value::Kiss(None), ONCE, changes);
        }
        self.kiss = Some(kiss);
        self.is_changed = true;
        self.note(Trait::RateLimit, Value::Kiss(Some(code)), ONCE, changes);
    }

    fn observe_nts(&mut self, status: &Status, changes: &mut Vec<Change>) {
        if let Some(value) = Nts::of(status) {
            self.note(Trait::Nts, Value::Nts(value), REPLIES, changes);
        }
    }

    fn observe_reply(&mut self, seen: &Seen<'_>, evidence: &Evidence, packet: &Packet, changes: &mut Vec<Change>) {
        if let (Some(asked), Some(from)) = (seen.asked, evidence.sender) {
            let sender = sender(evidence, asked, from);
            self.note(Trait::Sender, Value::Sender(sender), REPLIES, changes);
        }
        self.note(Trait::Version4, Value::Reaction(Reaction::Version(packet.version)), REPLIES, changes);
        if let Some(limit) = evidence.hop_limit {
            self.note(Trait::HopLimit, Value::HopLimit(limit), REPLIES, changes);
        }
        if seen.mode == Mode::Interleaved {
            self.note(Trait::Interleaved, Value::Is(true), ONCE, changes);
        }
        if seen.authentication == Authentication::Nts && seen.nts.is_none() && seen.accepted.is_some() {
            self.note(Trait::Nts, Value::Nts(Nts::Offered), REPLIES, changes);
        }
        // The statements of an unsynchronised server do not describe its normal behaviour.
        if *seen.outcome == Outcome::Sample {
            self.observe_claims(seen, packet, changes);
            self.observe_stamps(packet, changes);
        }
    }

    fn observe_claims(&mut self, seen: &Seen<'_>, packet: &Packet, changes: &mut Vec<Change>) {
        self.note(Trait::Precision, Value::Log2(packet.precision_log2), REPLIES, changes);
        let reference = Reference::of(packet.refid, packet.stratum);
        self.note(Trait::Reference, Value::Reference(reference), REPLIES, changes);
        self.is_changed |= self.refid.replace((packet.refid, packet.stratum)).is_none();
        if let Some(behaviour) = self.dispersions.add(seen.at.mono_ns, packet.reference, packet.root_dispersion) {
            self.note(Trait::Dispersion, Value::Dispersion(behaviour), TWICE, changes);
        }
    }

    fn observe_stamps(&mut self, packet: &Packet, changes: &mut Vec<Change>) {
        self.note(Trait::OneStamp, Value::Is(packet.receive == packet.transmit), REPLIES, changes);
        if let Some(grain) = self.receive.add(packet.receive) {
            self.note_grain(Trait::ReceiveGrain, grain, changes);
        }
        if let Some(grain) = self.transmit.add(packet.transmit) {
            self.note_grain(Trait::TransmitGrain, grain, changes);
        }
    }

    fn note_grain(&mut self, of: Trait, grain: Grain, changes: &mut Vec<Change>) {
        let held = match self.value(of) {
            Some(Value::Grain(held)) => Some(held),
            _ => None,
        };
        let agreed = &mut self.agreed[usize::from(of == Trait::TransmitGrain)];
        let is_settled = *agreed >= SETTLED;
        *agreed = if held == Some(grain) { agreed.saturating_add(1) } else { *agreed };
        if !is_settled && held.is_some_and(|held| grain.seconds() < held.seconds()) {
            *agreed = 0;
            self.traits[of as usize] = Steady::holding(Some(Value::Grain(grain)), false);
            self.is_changed = true;
            return;
        }
        let is_coarser = held.is_some_and(|held| grain.seconds() > held.seconds());
        self.note(of, Value::Grain(grain), if is_coarser { COARSER } else { TWICE }, changes);
    }
}

/// Whether a server refused a question because of the rate of requests, which says nothing about the question.
fn is_about_rate(value: Value) -> bool {
    matches!(value, Value::Reaction(Reaction::Kiss(code)) if KissCode::RATE.octets() == code)
}

/// Whether it repeats the cookie, so that the server or someone on the path sent it, and did not fail authentication.
fn is_answer(evidence: &Evidence) -> bool {
    evidence.checks.result(Check::Origin) == Some(true)
        && evidence.checks.result(Check::Mode) == Some(true)
        && evidence.checks.result(Check::Authenticator) != Some(false)
}

fn sender(evidence: &Evidence, asked: SocketAddr, from: SocketAddr) -> Sender {
    match evidence.checks.result(Check::Sender) {
        Some(false) if from.ip() == asked.ip() => Sender::OtherPort,
        Some(false) => Sender::OtherAddress,
        _ => Sender::Asked,
    }
}

#[cfg(test)]
#[path = "watch_tests.rs"]
mod tests;
