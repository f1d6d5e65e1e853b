//! No datagram panics the judgement of NTS: neither any octets, nor any extension fields, nor any content that the server
//! has encrypted. Only what was sealed with the key is authentic.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use ntp_monitor_core::nts::{Aead, Cookie, FULL_STOCK, Key, Keys, Ticket, fields};

fuzz_target!(|input: (Vec<u8>, Vec<u8>)| {
    let (octets, inner) = input;
    let key = |octet| Key::new(Aead::AesSivCmac256, &[octet; 32]).unwrap();
    let keys = Keys { aead: Aead::AesSivCmac256, to_server: key(1), to_client: key(2) };
    let ticket = Ticket::new(Arc::new(keys), Cookie::new(&[7; 100]).unwrap(), 8, [9; 32]);
    assert_ne!(ticket.open(&octets).is_authentic, Some(true));
    let _ = fields(&octets, 16);
    let inner = &inner[..inner.len().min(1000)];
    let mut reply = [vec![0x24; 48], vec![1, 4, 0, 36], vec![9; 32]].concat();
    let sealed = key(2).seal(&reply, &[4; 16], inner).unwrap();
    let len = (4 + 4 + 16 + sealed.len()).next_multiple_of(4);
    let end = reply.len() + len;
    reply.extend([4, 4]);
    reply.extend(u16::try_from(len).unwrap().to_be_bytes());
    reply.extend([0, 16]);
    reply.extend(u16::try_from(sealed.len()).unwrap().to_be_bytes());
    reply.extend([4; 16]);
    reply.extend(sealed);
    reply.resize(end, 0);
    let opened = ticket.open(&reply);
    assert_eq!((opened.repeats_id, opened.is_authentic), (Some(true), Some(true)));
    assert!(opened.cookies.len() <= FULL_STOCK);
});
