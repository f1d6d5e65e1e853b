//! No datagram panics the parser, and a header that was read is written back the same.

use ntp_monitor_core::ntp::Packet;
use ntp_monitor_core::ntp::packet::HEADER_LEN;

pub fn check(datagram: &[u8]) {
    if let Ok(packet) = Packet::parse(datagram) {
        assert_eq!(packet.to_bytes(), datagram[..HEADER_LEN]);
    }
}
