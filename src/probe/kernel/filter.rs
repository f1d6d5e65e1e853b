//! A classic BPF program for the kernel that drops a flood of forged datagrams before it reaches a socket.

use nix::libc::{BPF_ABS, BPF_H, BPF_JEQ, BPF_JGE, BPF_JMP, BPF_K, BPF_LD, BPF_LEN, BPF_RET, BPF_W};
use socket2::SockFilter;

use super::message::{COOKIE_IN_REPLY, UDP_HEADER_LEN};
use ntp_monitor_core::ntp::packet::HEADER_LEN;

/// Passes datagrams that are long enough and whose origin timestamp begins with `tag`. It does not apply to transmit
/// timestamps and ICMP errors.
pub(super) const fn tagged_replies(tag: u16) -> [SockFilter; 6] {
    const SHORTEST: u32 = (UDP_HEADER_LEN + HEADER_LEN) as u32;
    // The program sees the datagram from its UDP header on.
    const TAG_AT: u32 = (UDP_HEADER_LEN + COOKIE_IN_REPLY) as u32;
    [
        load(BPF_W | BPF_LEN, 0),
        skip_unless(BPF_JGE, SHORTEST, 3),
        load(BPF_H | BPF_ABS, TAG_AT),
        skip_unless(BPF_JEQ, tag as u32, 1),
        keep(u32::MAX),
        keep(0),
    ]
}

const fn load(what: u32, at: u32) -> SockFilter {
    SockFilter::new((BPF_LD | what) as u16, 0, 0, at)
}

const fn skip_unless(comparison: u32, value: u32, instructions: u8) -> SockFilter {
    SockFilter::new((BPF_JMP | comparison | BPF_K) as u16, 0, instructions, value)
}

/// Ends the program: the datagram is kept up to this length; zero drops it.
const fn keep(len: u32) -> SockFilter {
    SockFilter::new((BPF_RET | BPF_K) as u16, 0, 0, len)
}
