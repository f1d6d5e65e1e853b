//! No datagram panics the judgement of NTS, neither any octets nor any content that the server has encrypted. Only what was
//! sealed with the key is authentic.

use std::sync::Arc;

use ntp_monitor_core::nts::{Aead, Cookie, FULL_STOCK, Key, Keys, Ticket, fields};

/// The input is a datagram, and then the encrypted content of one.
pub fn check(input: &[u8]) {
    let keys = Keys { aead: Aead::AesSivCmac256, to_server: key(1), to_client: key(2) };
    let cookie = Cookie::new(&[7; 100]).expect("a cookie of 100 octets");
    let ticket = Ticket::new(Arc::new(keys), cookie, FULL_STOCK, [9; 32]);
    assert_ne!(ticket.open(input).is_authentic, Some(true));
    let _ = fields(input, 16);
    let opened = ticket.open(&reply(&input[..input.len().min(1000)]));
    assert_eq!((opened.repeats_id, opened.is_authentic), (Some(true), Some(true)));
    assert!(opened.cookies.len() <= FULL_STOCK);
}

fn key(octet: u8) -> Key {
    Key::new(Aead::AesSivCmac256, &[octet; 32]).expect("a key of 32 octets")
}

/// An authentic reply with this encrypted content.
fn reply(content: &[u8]) -> Vec<u8> {
    let mut reply = [vec![0x24; 48], vec![1, 4, 0, 36], vec![9; 32]].concat();
    let sealed = key(2).seal(&reply, &[4; 16], content).expect("two headers are sealed");
    let len = (4 + 4 + 16 + sealed.len()).next_multiple_of(4);
    let end = reply.len() + len;
    let number = |len: usize| u16::try_from(len).expect("it is short").to_be_bytes();
    reply.extend([&[4, 4], &number(len)[..], &[0, 16], &number(sealed.len()), &[4; 16], &sealed].concat());
    reply.resize(end, 0);
    reply
}
