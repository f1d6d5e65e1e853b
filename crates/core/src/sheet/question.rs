//! Questions about properties that polls do not show. Each is one datagram. Also the meaning of the replies.

use serde::{Deserialize, Serialize};

use crate::ntp::packet::HEADER_LEN;
use crate::ntp::{Check, Mode, Packet};
use crate::sample::{Evidence, Outcome};

/// The draft of NTP version 5 that a request announces; a server answers with version 5 only if it implements the same.
pub const DRAFT: &str = "draft-ietf-ntp-ntpv5-09";
/// The extension field of the draft that names it.
const DRAFT_FIELD: u16 = 0xf5ff;
/// A field type for experiments (RFC 9748), which no server should know.
const UNKNOWN_FIELD: u16 = 0xfe5d;
/// Minimum length of the last field of a packet without a MAC (RFC 7822 §7.5.1.4).
const UNKNOWN_FIELD_LEN: u16 = 28;
/// The position of the cookie in a request of version 5, and in the reply that repeats it.
const CLIENT_COOKIE: usize = 24;

/// A question to a server: one request that differs from that of a poll.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Question {
    /// A request of version 3 (RFC 1305).
    #[serde(rename = "version_3")]
    Version3,
    /// A request of version 5, which is a draft.
    #[serde(rename = "version_5")]
    Version5,
    /// A request of version 4 with an extension field that no server knows.
    UnknownField,
}

impl Question {
    /// Every question.
    pub const ALL: [Self; 3] = [Self::Version3, Self::Version5, Self::UnknownField];

    /// The datagram. A server repeats `cookie` in its reply at the same position as for a poll.
    #[must_use]
    pub fn request(self, cookie: u64) -> Vec<u8> {
        let usual = Packet::request(cookie);
        match self {
            Self::Version3 => Packet { version: 3, ..usual }.to_bytes().to_vec(),
            Self::Version5 => version_5(cookie),
            Self::UnknownField => {
                let body = vec![0; usize::from(UNKNOWN_FIELD_LEN) - 4];
                [&usual.to_bytes()[..], &field(UNKNOWN_FIELD, UNKNOWN_FIELD_LEN, &body)].concat()
            }
        }
    }

    /// The result of the question: `replies` are those that arrived, used or rejected. `None` if it shows nothing about
    /// the server, for example because this host has no route.
    #[must_use]
    pub fn reaction<'a>(self, outcome: &Outcome, replies: impl IntoIterator<Item = &'a Evidence>) -> Option<Reaction> {
        if let Outcome::Kiss(code) = outcome {
            return Some(Reaction::Kiss(code.octets()));
        }
        let is_answer = |it: &&Evidence| it.checks.result(Check::Origin) == Some(true);
        let answer = replies.into_iter().filter(is_answer).find_map(|it| Reaction::of(self, &it.datagram));
        // A reply with another cookie, or an error of this host, does not count as silence.
        answer.or_else(|| (*outcome == Outcome::Timeout).then_some(Reaction::Silent))
    }
}

fn version_5(cookie: u64) -> Vec<u8> {
    let mut request = [0; HEADER_LEN];
    request[0] = 5 << 3 | Mode::Client.bits();
    request[CLIENT_COOKIE..CLIENT_COOKIE + 8].copy_from_slice(&cookie.to_be_bytes());
    // A server of version 4 repeats the transmit timestamp instead; version 5 ignores it.
    request[HEADER_LEN - 8..].copy_from_slice(&cookie.to_be_bytes());
    // The length of a field does not count the padding.
    let length = 4 + DRAFT.len();
    let mut body = DRAFT.as_bytes().to_vec();
    body.resize(length.next_multiple_of(4) - 4, 0);
    [&request[..], &field(DRAFT_FIELD, length as u16, &body)].concat()
}

fn field(kind: u16, length: u16, body: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &length.to_be_bytes(), body].concat()
}

/// How a server reacts to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reaction {
    /// It answers with this version.
    Version(u8),
    /// It answers as if the extension field were not there.
    Ignores,
    /// It returns the extension field.
    Returns,
    /// It answers with an extension field of its own, or a MAC.
    Adds,
    /// It does not answer, although it answers polls.
    Silent,
    /// It answers with this kiss-o'-death.
    Kiss([u8; 4]),
}

impl Reaction {
    /// The reaction that a datagram with the cookie shows; `None` if it is not a reply of a server.
    fn of(question: Question, datagram: &[u8]) -> Option<Self> {
        let packet = Packet::from_header(datagram.first_chunk()?);
        if packet.mode != Mode::Server {
            return None;
        }
        Some(match (question, datagram.get(HEADER_LEN..)) {
            (Question::UnknownField, None | Some([])) => Self::Ignores,
            (Question::UnknownField, Some([a, b, ..])) if [*a, *b] == UNKNOWN_FIELD.to_be_bytes() => Self::Returns,
            (Question::UnknownField, _) => Self::Adds,
            _ => Self::Version(packet.version),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Stamp;
    use crate::ntp::{CheckRow, KissCode, NtpTimestamp};

    const COOKIE: u64 = 0x0102_0304_0506_0708;

    fn evidence(datagram: Vec<u8>, origin: bool) -> Evidence {
        let [t1, t2, t3, t4] = [NtpTimestamp::ZERO; 4];
        let mut checks = CheckRow::default();
        checks.record(Check::Origin, origin);
        let at = Stamp::new(0, 0, 0);
        Evidence { at, checks, t1, t2, t3, t4, sender: None, hop_limit: None, datagram: datagram.into() }
    }

    fn reply(version: u8, extra: &[u8]) -> Evidence {
        let header = Packet { version, mode: Mode::Server, ..Packet::request(COOKIE) }.to_bytes();
        evidence([&header[..], extra].concat(), true)
    }

    #[test]
    fn requests_have_the_cookie_where_replies_repeat_it() {
        for question in Question::ALL {
            let request = question.request(COOKIE);
            assert_eq!(request[40..48], COOKIE.to_be_bytes(), "{question:?}");
            assert!(request.len().is_multiple_of(4) && request.len() <= 76);
            assert_eq!(request[0] & 7, 3);
        }
        assert_eq!(Question::Version3.request(COOKIE)[0] >> 3, 3);
        assert_eq!(Question::UnknownField.request(COOKIE).len(), 76);
        let draft = Question::Version5.request(COOKIE);
        assert_eq!((draft[0] >> 3, &draft[24..32]), (5, &COOKIE.to_be_bytes()[..]));
        assert_eq!(draft[48..52], [0xf5, 0xff, 0, 27]);
        assert_eq!((&draft[52..75], draft[75]), (DRAFT.as_bytes(), 0));
    }

    #[test]
    fn reply_decides_the_reaction_also_if_a_poll_would_reject_it() {
        let rejected = Outcome::Rejected(Check::Version);
        let [v4, v5] = [reply(4, &[]), reply(5, &[1; 20])];
        assert_eq!(Question::Version5.reaction(&rejected, [&v5]), Some(Reaction::Version(5)));
        assert_eq!(Question::Version5.reaction(&Outcome::Sample, [&v4]), Some(Reaction::Version(4)));
        let field = field(UNKNOWN_FIELD, UNKNOWN_FIELD_LEN, &[0; 24]);
        for (extra, expected) in
            [(&[][..], Reaction::Ignores), (&field[..20], Reaction::Returns), (&[9; 20][..], Reaction::Adds)]
        {
            let reply = reply(4, extra);
            assert_eq!(Question::UnknownField.reaction(&Outcome::Sample, [&reply]), Some(expected));
        }
    }

    #[test]
    fn silence_is_a_reaction_and_a_fault_of_this_host_is_none() {
        let none: [&Evidence; 0] = [];
        assert_eq!(Question::Version3.reaction(&Outcome::Timeout, none), Some(Reaction::Silent));
        for outcome in [Outcome::Fault("no route".into()), Outcome::Refused] {
            assert_eq!(Question::Version3.reaction(&outcome, none), None);
        }
        let stranger = evidence(reply(3, &[]).datagram.to_vec(), false);
        assert_eq!(Question::Version3.reaction(&Outcome::Rejected(Check::Origin), [&stranger]), None);
        let rate = Question::Version3.reaction(&Outcome::Kiss(KissCode::RATE), none);
        assert_eq!(rate, Some(Reaction::Kiss(*b"RATE")));
    }
}
