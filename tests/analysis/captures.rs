//! Real captures: every NTP datagram in them is parsed and compared with the output of another program.
//!
//! The captures are those of the zeek and tcpdump test suites (BSD-3-Clause), in a directory named by
//! `NTP_MONITOR_FIXTURES` or `../shared/fixtures`. They are not part of this repository; without them nothing is tested
//! here, and the test says so.

use std::path::{Path, PathBuf};

use ntp_monitor_core::ntp::{Mac, Mode, NtpTimestamp, Packet};

const NTP_PORT: u16 = 123;

fn captures() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/fixtures");
    let dir = std::env::var_os("NTP_MONITOR_FIXTURES").map_or_else(beside, PathBuf::from).join("pcap");
    if dir.is_dir() {
        return Some(dir);
    }
    println!("captures are absent: {} is no directory; set NTP_MONITOR_FIXTURES", dir.display());
    None
}

/// The payloads of all UDP datagrams from or to the NTP port in a classic little-endian pcap file.
fn datagrams(file: &Path) -> Vec<Vec<u8>> {
    let bytes = std::fs::read(file).unwrap();
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    assert_eq!(word(0), 0xa1b2_c3d4, "{}", file.display());
    let link_header = match word(20) {
        0 => 4,
        1 => 14,
        other => panic!("link type {other}"),
    };
    let mut payloads = Vec::new();
    let mut at = 24;
    while at < bytes.len() {
        let (start, end) = (at + 16, at + 16 + word(at + 8));
        payloads.extend(udp_payload(&bytes[start + link_header..end]).map(<[u8]>::to_vec));
        at = end;
    }
    payloads
}

fn udp_payload(ip: &[u8]) -> Option<&[u8]> {
    let (protocol, header) = match ip.first()? >> 4 {
        4 => (ip[9], usize::from(ip[0] & 15) * 4),
        6 => (ip[6], 40),
        _ => return None,
    };
    let udp = ip.get(header..).filter(|_| protocol == 17)?;
    let word = |at: usize| u16::from_be_bytes([udp[at], udp[at + 1]]);
    let to_ntp = word(0) == NTP_PORT || word(2) == NTP_PORT;
    // A capture may be cut short.
    udp.get(8..usize::from(word(4)).min(udp.len())).filter(|_| to_ntp)
}

/// Control messages have another body.
fn is_time(payload: &[u8]) -> bool {
    payload.first().is_some_and(|first| !matches!(Mode::from_bits(*first), Mode::Control | Mode::Private))
}

#[test]
fn packets_read_as_zeek_reads_them() {
    let Some(dir) = captures() else { return };
    let mut compared = 0;
    for name in ["ntp", "ntp2", "NTP_sync", "NTP-digest", "misordered-ntp"] {
        let log = std::fs::read_to_string(dir.join(format!("zeek/{name}.ntp.log"))).unwrap();
        let columns: Vec<&str> =
            log.lines().find_map(|line| line.strip_prefix("#fields\t")).unwrap().split('\t').collect();
        let rows: Vec<Vec<&str>> =
            log.lines().filter(|line| !line.starts_with('#')).map(|line| line.split('\t').collect()).collect();
        let packets: Vec<Packet> = datagrams(&dir.join(format!("zeek/{name}.pcap")))
            .iter()
            .filter(|payload| is_time(payload))
            .map(|payload| Packet::parse(payload).unwrap_or_else(|why| panic!("{name}: {why}")))
            .collect();
        assert_eq!(packets.len(), rows.len(), "{name}");
        for (packet, row) in packets.iter().zip(rows) {
            let cell = |column: &str| row[columns.iter().position(|c| *c == column).unwrap()];
            compare(packet, cell);
            compared += 1;
        }
    }
    assert_eq!(compared, 138);
}

fn compare<'a>(packet: &Packet, cell: impl Fn(&str) -> &'a str) {
    assert_eq!(packet.version.to_string(), cell("version"));
    assert_eq!(packet.mode.bits().to_string(), cell("mode"));
    assert_eq!(packet.stratum.to_string(), cell("stratum"));
    assert_eq!(packet.trailer.extension_fields.to_string(), cell("num_exts"));
    let close = |mine: f64, column: &str| {
        let theirs: f64 = cell(column).parse().unwrap();
        assert!((mine - theirs).abs() < 2e-6, "{column}: {mine} is not {theirs}");
    };
    close(f64::from(packet.poll_log2).exp2(), "poll");
    close(packet.root_delay.seconds(), "root_delay");
    close(packet.root_dispersion.seconds(), "root_disp");
    let near_ns = 1_500_000_000_000_000_000;
    let unix_s = |stamp: NtpTimestamp| if stamp.is_zero() { 0.0 } else { stamp.to_unix_ns(near_ns) as f64 / 1e9 };
    close(unix_s(packet.reference), "ref_time");
    close(unix_s(packet.origin), "org_time");
    close(unix_s(packet.receive), "rec_time");
    close(unix_s(packet.transmit), "xmt_time");
}

#[test]
fn trailers_of_real_packets_are_recognised() {
    let Some(dir) = captures() else { return };
    let trailers = |file: &str| -> Vec<_> {
        datagrams(&dir.join(file)).iter().map(|payload| Packet::parse(payload).map(|p| p.trailer)).collect()
    };
    // Network Time Security: at least a unique identifier and an authenticator, no MAC.
    for trailer in trailers("tcpdump/ntp-time-ef.pcap") {
        let trailer = trailer.unwrap();
        assert!(trailer.extension_fields >= 2 && trailer.mac == Mac::None, "{trailer:?}");
    }
    let macs: Vec<Mac> = trailers("zeek/NTP-digest.pcap").into_iter().map(|trailer| trailer.unwrap().mac).collect();
    assert!(macs.contains(&Mac::Digest20) || macs.contains(&Mac::Digest16), "{macs:?}");
    let macs: Vec<Mac> = trailers("tcpdump/ntp.pcap").into_iter().map(|trailer| trailer.unwrap().mac).collect();
    assert!(macs.contains(&Mac::CryptoNak), "an unauthenticated answer of 52 octets: {macs:?}");
}

#[test]
fn no_captured_datagram_breaks_the_parser() {
    let Some(dir) = captures() else { return };
    let mut parsed = 0;
    for suite in ["zeek", "tcpdump"] {
        for entry in std::fs::read_dir(dir.join(suite)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "pcap") {
                for payload in datagrams(&path) {
                    parsed += usize::from(Packet::parse(&payload).is_ok());
                }
            }
        }
    }
    assert!(parsed >= 138, "{parsed}");
}
