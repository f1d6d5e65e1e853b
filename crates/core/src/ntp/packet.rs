//! The NTP packet: the 48-octet header of versions 3 and 4 (RFC 5905 §7.3), and the [`Trailer`] after it.

use super::{Leap, NtpShort, NtpTimestamp, RefId, Trailer};

/// The length of the header in octets.
pub const HEADER_LEN: usize = 48;

/// The constant precision that clients send instead of their real one (draft-ietf-ntp-data-minimization).
const MINIMISED_PRECISION: i8 = 0x20;

/// The association mode (RFC 5905 §7.3, figure 10).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// 0: reserved.
    Reserved,
    /// 1: symmetric active.
    SymmetricActive,
    /// 2: symmetric passive.
    SymmetricPassive,
    /// 3: a client's request.
    Client,
    /// 4: a server's reply.
    Server,
    /// 5: broadcast.
    Broadcast,
    /// 6: NTP control message; its body is not that of a [`Packet`].
    Control,
    /// 7: reserved for private use; its body is not that of a [`Packet`].
    Private,
}

impl Mode {
    const ALL: [Self; 8] = [
        Self::Reserved,
        Self::SymmetricActive,
        Self::SymmetricPassive,
        Self::Client,
        Self::Server,
        Self::Broadcast,
        Self::Control,
        Self::Private,
    ];

    /// Decodes the mode; only the lowest three bits are used.
    #[must_use]
    pub fn from_bits(bits: u8) -> Self {
        Self::ALL[usize::from(bits & 0b111)]
    }

    /// The value in the packet, 0 to 7.
    #[must_use]
    pub fn bits(self) -> u8 {
        self as u8
    }
}

/// Why a datagram is not an NTP packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum ParseError {
    /// The datagram is shorter than the header.
    #[error("the datagram has {octets} octets, but an NTP header has 48")]
    TooShort {
        /// The length of the datagram in octets.
        octets: usize,
    },
    /// The octets after the header are neither extension fields nor a MAC.
    #[error("the {octets} octets after the header are neither extension fields nor a MAC of a known length")]
    Trailer {
        /// The number of octets after the header.
        octets: usize,
    },
}

/// An NTP packet of version 3 or 4; both have the same header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Packet {
    /// Leap indicator.
    pub leap: Leap,
    /// Protocol version, 0 to 7 as sent.
    pub version: u8,
    /// Association mode.
    pub mode: Mode,
    /// Stratum as sent.
    pub stratum: u8,
    /// Poll exponent: log2 seconds.
    pub poll_log2: i8,
    /// Precision exponent: log2 seconds.
    pub precision_log2: i8,
    /// Round-trip delay to the reference clock.
    pub root_delay: NtpShort,
    /// Dispersion to the reference clock.
    pub root_dispersion: NtpShort,
    /// Reference identifier.
    pub refid: RefId,
    /// When the sender's clock was last set or corrected (reference timestamp).
    pub reference: NtpTimestamp,
    /// The transmit field of the packet that this one replies to (origin timestamp).
    pub origin: NtpTimestamp,
    /// When that packet arrived (T2 in a reply).
    pub receive: NtpTimestamp,
    /// When this packet left (T3 in a reply). Requests carry a random cookie instead.
    pub transmit: NtpTimestamp,
    /// The extension fields and MAC after the header.
    pub trailer: Trailer,
}

impl Packet {
    /// A client request that reveals nothing about this host (draft-ietf-ntp-data-minimization; chrony sends the same).
    /// All fields are zero except version 4, mode 3, a constant precision, and `cookie`: 64 random bits in the transmit
    /// field, which a genuine reply must echo.
    #[must_use]
    pub fn request(cookie: u64) -> Self {
        Self {
            leap: Leap::None,
            version: 4,
            mode: Mode::Client,
            stratum: 0,
            poll_log2: 0,
            precision_log2: MINIMISED_PRECISION,
            root_delay: NtpShort::default(),
            root_dispersion: NtpShort::default(),
            refid: RefId([0; 4]),
            reference: NtpTimestamp::ZERO,
            origin: NtpTimestamp::ZERO,
            receive: NtpTimestamp::ZERO,
            transmit: NtpTimestamp(cookie),
            trailer: Trailer::default(),
        }
    }

    /// Parses a whole datagram.
    ///
    /// # Errors
    /// If the datagram is shorter than the header, or the octets after the header are malformed.
    pub fn parse(datagram: &[u8]) -> Result<Self, ParseError> {
        let (header, rest) = datagram.split_first_chunk().ok_or(ParseError::TooShort { octets: datagram.len() })?;
        let packet = Self::from_header(header);
        Ok(Self { trailer: Trailer::parse(packet.version, rest)?, ..packet })
    }

    /// Reads the header alone. Any 48 octets are accepted; the [checks](super::Check) decide whether the content is
    /// valid.
    #[must_use]
    pub fn from_header(header: &[u8; HEADER_LEN]) -> Self {
        let word = |at: usize| u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        let stamp = |at: usize| NtpTimestamp(u64::from(word(at)) << 32 | u64::from(word(at + 4)));
        Self {
            leap: Leap::from_bits(header[0] >> 6),
            version: header[0] >> 3 & 0b111,
            mode: Mode::from_bits(header[0]),
            stratum: header[1],
            poll_log2: header[2].cast_signed(),
            precision_log2: header[3].cast_signed(),
            root_delay: NtpShort(word(4)),
            root_dispersion: NtpShort(word(8)),
            refid: RefId(word(12).to_be_bytes()),
            reference: stamp(16),
            origin: stamp(24),
            receive: stamp(32),
            transmit: stamp(40),
            trailer: Trailer::default(),
        }
    }

    /// Encodes the header. The trailer is not written, because this program never sends one.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; HEADER_LEN] {
        let mut octets = [0; HEADER_LEN];
        octets[0] = self.leap.bits() << 6 | (self.version & 0b111) << 3 | self.mode.bits();
        octets[1] = self.stratum;
        octets[2] = self.poll_log2.cast_unsigned();
        octets[3] = self.precision_log2.cast_unsigned();
        octets[4..8].copy_from_slice(&self.root_delay.0.to_be_bytes());
        octets[8..12].copy_from_slice(&self.root_dispersion.0.to_be_bytes());
        octets[12..16].copy_from_slice(&self.refid.0);
        for (at, stamp) in [(16, self.reference), (24, self.origin), (32, self.receive), (40, self.transmit)] {
            octets[at..at + 8].copy_from_slice(&stamp.0.to_be_bytes());
        }
        octets
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn octets(hex: &str) -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
    }

    /// `ntpRequest` and `ntpResponse` of facebook/time `ntp/protocol/ntp_test.go` (Apache-2.0).
    #[test]
    fn parsed_packets_match_facebook_time() {
        let request = Packet::parse(&octets(
            "e30003fa000100000001000000000000000000000000000000000000000000000000000000000000e2270f77a204b0d4",
        ))
        .unwrap();
        assert_eq!((request.leap, request.version, request.mode), (Leap::Unknown, 4, Mode::Client));
        assert_eq!((request.stratum, request.poll_log2, request.precision_log2), (0, 3, -6));
        assert_eq!((request.root_delay.0, request.root_dispersion.0), (65_536, 65_536));
        assert_eq!(request.transmit, NtpTimestamp(3_794_210_679 << 32 | 2_718_216_404));

        let wire =
            octets("240103e0000000000000000a46422020e2270c0800000000e2270f77a204b0d4e2270f77a2071e30e2270f77a21c2506");
        let response = Packet::parse(&wire).unwrap();
        assert_eq!((response.leap, response.version, response.mode), (Leap::None, 4, Mode::Server));
        assert_eq!((response.stratum, response.poll_log2, response.precision_log2), (1, 3, -32));
        assert_eq!((response.root_delay.0, response.root_dispersion.0), (0, 10));
        assert_eq!(response.refid, RefId(*b"FB  "));
        assert_eq!(response.reference, NtpTimestamp(3_794_209_800 << 32));
        assert_eq!(response.origin, request.transmit);
        assert_eq!(response.receive, NtpTimestamp(3_794_210_679 << 32 | 2_718_375_472));
        assert_eq!(response.transmit, NtpTimestamp(3_794_210_679 << 32 | 2_719_753_478));
        assert_eq!(response.to_bytes().as_slice(), wire);
    }

    #[test]
    fn request_reveals_only_its_cookie() {
        let mut expected = [0; HEADER_LEN];
        expected[0] = 0b00_100_011;
        expected[3] = 0x20;
        expected[40..].copy_from_slice(&[1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(Packet::request(0x0102_0304_0506_0708).to_bytes(), expected);
    }

    proptest! {
        #[test]
        fn parsing_never_panics_and_headers_round_trip(
            datagram in proptest::collection::vec(any::<u8>(), 0..600),
        ) {
            match Packet::parse(&datagram) {
                Ok(packet) => prop_assert_eq!(packet.to_bytes().to_vec(), &datagram[..HEADER_LEN]),
                Err(ParseError::TooShort { octets }) => prop_assert!(octets < HEADER_LEN),
                Err(ParseError::Trailer { octets }) => prop_assert_eq!(octets, datagram.len() - HEADER_LEN),
            }
        }
    }
}
