//! Parses what the kernel returns with a datagram or in an error queue, and finds the request that it is about. Pure.

use std::net::{Ipv4Addr, SocketAddr};

use nix::sys::socket::{ControlMessageOwned, RecvMsg, SockaddrStorage};
use nix::sys::time::TimeSpec;

use ntp_monitor_core::ntp::NtpTimestamp;
use ntp_monitor_core::ntp::packet::HEADER_LEN;

/// Position of the cookie in a request (its transmit timestamp) and in a reply (its origin timestamp), in octets.
const COOKIE_IN_REQUEST: usize = 40;
pub(super) const COOKIE_IN_REPLY: usize = 24;
pub(super) const UDP_HEADER_LEN: usize = 8;

/// A datagram, or a message of an error queue.
#[derive(Debug)]
pub(super) struct Received {
    /// Number of octets.
    pub len: usize,
    /// The sender of a datagram; the destination of the request that an ICMP error is about.
    pub address: Option<SocketAddr>,
    /// The address of this host that a datagram was sent to; only over IPv4.
    pub local: Option<Ipv4Addr>,
    /// The remaining hop limit (TTL) of a datagram.
    pub hop_limit: Option<u8>,
    /// The kernel's timestamp.
    pub stamp: Option<NtpTimestamp>,
    /// What a message of an error queue is about.
    pub about: Option<About>,
}

/// What a message of an error queue is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum About {
    /// A request was transmitted; with its number, if the kernel was given one.
    Transmission(u32),
    /// An ICMP error that refuses a request permanently.
    Refusal,
    /// Any other ICMP error: it may be temporary, such as a missing route.
    Passing,
}

impl Received {
    pub fn of(message: &RecvMsg<'_, '_, SockaddrStorage>) -> Self {
        let mut received =
            Self { len: message.bytes, address: None, local: None, hop_limit: None, stamp: None, about: None };
        for control in message.cmsgs().into_iter().flatten() {
            match control {
                ControlMessageOwned::ScmTimestampsns(stamps) => received.stamp = ntp_timestamp(stamps.system),
                ControlMessageOwned::Ipv4PacketInfo(info) => {
                    received.local = Some(Ipv4Addr::from(u32::from_be(info.ipi_addr.s_addr)));
                }
                ControlMessageOwned::Ipv4Ttl(limit) | ControlMessageOwned::Ipv6HopLimit(limit) => {
                    received.hop_limit = u8::try_from(limit).ok();
                }
                ControlMessageOwned::Ipv4RecvErr(error, _) | ControlMessageOwned::Ipv6RecvErr(error, _) => {
                    received.about = Some(about(&error));
                }
                _ => {}
            }
        }
        // The message about a transmission has no address.
        if !matches!(received.about, Some(About::Transmission(_))) {
            received.address = message.address.as_ref().and_then(socket_addr);
        }
        received
    }
}

fn about(error: &nix::libc::sock_extended_err) -> About {
    // Network and host unreachable (0, 1, 11, 12), fragmentation (4) and a failed source route (5) may be temporary.
    // The kernel ends connections for the other codes.
    const UNREACHABLE_V4: u8 = 3;
    // No route (0), beyond the scope (2) and address unreachable (3) may be temporary.
    const UNREACHABLE_V6: u8 = 1;
    let is_refusal = match error.ee_origin {
        nix::libc::SO_EE_ORIGIN_TIMESTAMPING => return About::Transmission(error.ee_data),
        nix::libc::SO_EE_ORIGIN_ICMP => {
            error.ee_type == UNREACHABLE_V4 && !matches!(error.ee_code, 0 | 1 | 4 | 5 | 11 | 12)
        }
        nix::libc::SO_EE_ORIGIN_ICMP6 => error.ee_type == UNREACHABLE_V6 && !matches!(error.ee_code, 0 | 2 | 3),
        _ => false,
    };
    if is_refusal { About::Refusal } else { About::Passing }
}

fn ntp_timestamp(time: TimeSpec) -> Option<NtpTimestamp> {
    let unix_ns = time.tv_sec().checked_mul(1_000_000_000)?.checked_add(time.tv_nsec())?;
    // The kernel uses zero for "no software timestamp".
    (unix_ns != 0).then(|| NtpTimestamp::from_unix_ns(unix_ns))
}

fn socket_addr(address: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = address.as_sockaddr_in().map(|v4| SocketAddr::V4((*v4).into()));
    v4.or_else(|| address.as_sockaddr_in6().map(|v6| SocketAddr::V6((*v6).into())))
}

/// The cookie that a reply repeats.
pub(super) fn cookie_of_reply(reply: &[u8]) -> Option<u64> {
    number_at(reply, COOKIE_IN_REPLY).filter(|_| reply.len() >= HEADER_LEN)
}

/// The cookie of the request that an ICMP error quotes. Some routers quote only the headers before it.
pub(super) fn cookie_of_quote(quote: &[u8]) -> Option<u64> {
    number_at(quote, COOKIE_IN_REQUEST)
}

/// The cookie of a request in the packet that the kernel returns with its transmit timestamp: the headers, whose length
/// depends on the interface, followed by the request. `port` is the port that it was sent from.
pub(super) fn cookie_of_packet(packet: &[u8], port: u16) -> Option<u64> {
    let number = |at: usize| packet.get(at..at + 2).map(|octets| u16::from_be_bytes([octets[0], octets[1]]));
    // The header of UDP begins with the port, and the length in it reaches to the end of the packet.
    let is_header = |at: &usize| {
        number(*at) == Some(port) && number(at + 4).is_some_and(|len| usize::from(len) == packet.len() - at)
    };
    let header = (0..packet.len()).find(is_header)?;
    number_at(packet, header + UDP_HEADER_LEN + COOKIE_IN_REQUEST)
}

fn number_at(octets: &[u8], at: usize) -> Option<u64> {
    octets.get(at..)?.first_chunk().map(|octets| u64::from_be_bytes(*octets))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ntp_monitor_core::ntp::Packet;

    const COOKIE: u64 = 0x0123_4567_89ab_cdef;

    #[test]
    fn cookie_is_found_behind_headers_of_any_length() {
        let request = [&Packet::request(COOKIE).to_bytes()[..], &[7; 20]].concat();
        for (link_len, request) in [(0, &request[..48]), (14, &request[..48]), (14, &request[..])] {
            let udp_len = u16::try_from(UDP_HEADER_LEN + request.len()).unwrap();
            let udp = [40_000_u16, 123, udp_len, 0].map(u16::to_be_bytes).concat();
            let packet = [&vec![0x45; link_len + 20][..], &udp, request].concat();
            assert_eq!(cookie_of_packet(&packet, 40_000), Some(COOKIE));
            assert_eq!(cookie_of_packet(&packet, 40_001), None);
            assert_eq!(cookie_of_packet(&packet[..packet.len() - 20], 40_000), None, "a truncated packet");
        }
    }

    #[test]
    fn quote_of_headers_only_has_no_cookie() {
        let request = Packet::request(COOKIE).to_bytes();
        assert_eq!(cookie_of_quote(&request), Some(COOKIE));
        assert_eq!((cookie_of_quote(&request[..47]), cookie_of_quote(&[])), (None, None));
    }

    #[test]
    fn cookie_of_a_reply_is_its_origin_timestamp() {
        let reply = Packet { origin: NtpTimestamp(COOKIE), ..Packet::request(0) }.to_bytes();
        assert_eq!(cookie_of_reply(&reply), Some(COOKIE));
        assert_eq!(cookie_of_reply(&reply[..40]), None, "what is too short for a header has no cookie");
    }
}
