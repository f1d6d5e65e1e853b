use proptest::prelude::*;

use super::*;
use crate::ntp::{Mode, NtpTimestamp, Packet};
use crate::nts::{Aead, Key};

const ID: UniqueId = [9; 32];

fn keys(aead: Aead) -> Arc<Keys> {
    let key = |octet: u8| Key::new(aead, &[octet; 64][..aead.key_len()]).unwrap();
    Arc::new(Keys { aead, to_server: key(1), to_client: key(2) })
}

fn ticket_of(aead: Aead, cookie_len: usize, wanted: usize) -> Ticket {
    Ticket::new(keys(aead), Cookie::new(&vec![7; cookie_len]).unwrap(), wanted, ID)
}

fn ticket() -> Ticket {
    ticket_of(Aead::AesSivCmac256, 100, 1)
}

fn header() -> [u8; HEADER_LEN] {
    let packet = Packet { mode: Mode::Server, stratum: 2, origin: NtpTimestamp(3), ..Packet::request(5) };
    packet.to_bytes()
}

fn field(kind: u16, body: &[u8]) -> Vec<u8> {
    let mut octets = Vec::new();
    append(&mut octets, kind, body);
    octets
}

/// A reply: `covered` fields, and an authenticator with the encrypted fields `inner`.
fn reply_of(ticket: &Ticket, covered: &[Vec<u8>], inner: &[u8]) -> Vec<u8> {
    let mut octets = [&header()[..], &covered.concat()].concat();
    let sealed = ticket.keys.to_client.seal(&octets, &[4; 16], inner).unwrap();
    append(&mut octets, kind::AUTHENTICATOR, &authenticator(&[4; 16], &sealed));
    octets
}

fn id_field() -> Vec<u8> {
    field(kind::UNIQUE_IDENTIFIER, &ID)
}

fn reply(ticket: &Ticket) -> Vec<u8> {
    let cookies = [field(kind::COOKIE, &[1; 100]), field(kind::COOKIE, &[2; 100])].concat();
    reply_of(ticket, &[id_field()], &cookies)
}

fn is_accepted(opened: &Opened) -> bool {
    (opened.parses, opened.repeats_id, opened.is_authentic) == (Some(true), Some(true), Some(true))
}

#[test]
fn request_has_cookie_placeholders_and_authenticator() {
    let ticket = ticket_of(Aead::AesSivCmac256, 100, 3);
    let octets = ticket.seal(&header(), [6; 16]);
    let found = fields(&octets[HEADER_LEN..], SHORTEST_FIELD).unwrap();
    let kinds: Vec<(u16, usize)> = found.iter().map(|field| (field.kind, field.body.len())).collect();
    assert_eq!(kinds, [(0x0104, 32), (0x0204, 100), (0x0304, 100), (0x0304, 100), (0x0404, 36)]);
    let (nonce, sealed) = parts(found[4].body).unwrap();
    let associated = &octets[..HEADER_LEN + found[4].at];
    assert_eq!(ticket.keys.to_server.open(associated, nonce, sealed), Some(Vec::new()));
}

#[test]
fn request_stays_short_enough_for_any_cookie() {
    for len in [1, 11, 12, 100, 101, 300, Cookie::MAX_LEN] {
        let octets = ticket_of(Aead::AesSivCmac512, len, FULL_STOCK).seal(&header(), [6; 16]);
        assert!(octets.len() <= MAX_REQUEST_LEN && octets.len().is_multiple_of(4), "{len}: {}", octets.len());
    }
    assert_eq!(ticket_of(Aead::AesSivCmac256, 100, FULL_STOCK).placeholders, 7);
    assert_eq!(ticket_of(Aead::AesSivCmac256, Cookie::MAX_LEN, FULL_STOCK).placeholders, 0);
}

#[test]
fn authentic_reply_gives_its_cookies() {
    for aead in Aead::OFFERED {
        let ticket = ticket_of(aead, 100, 1);
        let opened = ticket.open(&reply(&ticket));
        assert!(is_accepted(&opened) && opened.is_nts && !opened.is_nak, "{opened:?}");
        assert_eq!(opened.cookies, [Cookie::new(&[1; 100]).unwrap(), Cookie::new(&[2; 100]).unwrap()]);
    }
}

#[test]
fn every_one_bit_change_of_a_reply_is_refused() {
    let ticket = ticket();
    let original = reply(&ticket);
    for bit in 0..original.len() * 8 {
        let mut changed = original.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        let opened = ticket.open(&changed);
        assert!(!is_accepted(&opened) && !opened.is_nak && opened.cookies.is_empty(), "bit {bit}: {opened:?}");
    }
}

#[test]
fn shortened_or_lengthened_reply_is_refused() {
    let ticket = ticket();
    let original = reply(&ticket);
    for len in 0..original.len() {
        assert!(!is_accepted(&ticket.open(&original[..len])), "{len}");
    }
    for more in 1..80 {
        assert!(!is_accepted(&ticket.open(&[&original[..], &vec![0; more]].concat())), "{more}");
    }
    let twice = [&original[..], &field(kind::AUTHENTICATOR, &[0; 36])].concat();
    assert_eq!(ticket.open(&twice).parses, Some(false), "two authenticators");
}

#[test]
fn reply_to_another_request_is_refused() {
    let ticket = ticket();
    let other = Ticket { id: [8; 32], ..self::ticket() };
    let opened = other.open(&reply(&ticket));
    assert_eq!((opened.repeats_id, opened.is_authentic), (Some(false), Some(true)));
    let twice = reply_of(&ticket, &[id_field(), id_field()], &[]);
    assert_eq!(ticket.open(&twice).repeats_id, Some(false));
    assert_eq!(ticket.open(&reply_of(&ticket, &[], &[])).repeats_id, None);
}

#[test]
fn plain_reply_is_recognised_as_such() {
    let opened = ticket().open(&header());
    assert_eq!(opened, Opened { parses: Some(true), ..Opened::default() });
    let foreign = [&header()[..], &field(0x0002, &[0; 60])].concat();
    assert!(!ticket().open(&foreign).is_nts);
    assert_eq!(ticket().open(&header()[..47]), Opened::default());
}

#[test]
fn nak_counts_only_with_the_unique_identifier() {
    let nak = |id: &[u8], refid: &[u8; 4], stratum: u8| {
        let mut octets = [&header()[..], &field(kind::UNIQUE_IDENTIFIER, id)].concat();
        octets[1] = stratum;
        octets[12..16].copy_from_slice(refid);
        ticket().open(&octets).is_nak
    };
    assert!(nak(&ID, b"NTSN", 0));
    assert!(!nak(&[8; 32], b"NTSN", 0) && !nak(&ID, b"RATE", 0) && !nak(&ID, b"NTSN", 1) && !nak(&[], b"NTSN", 0));
}

#[test]
fn encrypted_rubbish_and_useless_cookies_are_refused() {
    let ticket = ticket();
    let opened = |inner: &[u8]| ticket.open(&reply_of(&ticket, &[id_field()], inner));
    assert_eq!(opened(&[255; 40]).parses, Some(false));
    let useless = opened(&[field(kind::COOKIE, &[]), field(kind::COOKIE, &[0; 2000])].concat());
    assert!(is_accepted(&useless) && useless.cookies.is_empty());
    let many: Vec<u8> = (0..12).flat_map(|_| field(kind::COOKIE, &[1; 100])).collect();
    assert_eq!(opened(&many).cookies.len(), FULL_STOCK);
    let sixty: Vec<u8> = (0..60).flat_map(|_| field(0x0002, &[0; 12])).collect();
    assert_eq!(ticket.open(&[&header()[..], &sixty].concat()).parses, Some(false));
}

#[test]
fn cookie_outside_of_the_encrypted_part_is_not_taken() {
    let ticket = ticket();
    let opened = ticket.open(&reply_of(&ticket, &[id_field(), field(kind::COOKIE, &[3; 100])], &[]));
    assert!(is_accepted(&opened) && opened.cookies.is_empty());
}

proptest! {
    #[test]
    fn any_datagram_is_refused(datagram in proptest::collection::vec(any::<u8>(), 0..500)) {
        prop_assert!(!is_accepted(&ticket().open(&datagram)));
    }

    #[test]
    fn any_encrypted_content_is_parsed_or_refused(inner in proptest::collection::vec(any::<u8>(), 0..300)) {
        let ticket = ticket();
        let opened = ticket.open(&reply_of(&ticket, &[id_field()], &inner));
        prop_assert_eq!(opened.is_authentic, Some(true));
        prop_assert!(opened.cookies.len() <= FULL_STOCK);
    }
}
