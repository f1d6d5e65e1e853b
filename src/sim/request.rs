//! The parts of a request that a scripted server uses.

/// Length of an NTP header without extensions, in octets.
pub(super) const HEADER_BYTES: usize = 48;
/// The range of the transmit time in the header.
pub(super) const TRANSMIT: std::ops::Range<usize> = 40..48;

/// The parts of a request that a server uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    pub version: u8,
    pub poll: u8,
    /// The transmit field, which the reply must echo.
    pub transmit: [u8; 8],
    /// Whether anything follows the header, such as an extension field.
    pub has_trailer: bool,
}

impl Request {
    /// Parses a client's request (mode 3); other datagrams get no reply.
    #[must_use]
    pub fn parse(datagram: &[u8]) -> Option<Self> {
        let header = datagram.get(..HEADER_BYTES)?;
        let mode = header[0] & 0b111;
        let transmit = header[TRANSMIT].try_into().ok()?;
        let has_trailer = datagram.len() > HEADER_BYTES;
        (mode == 3).then_some(Self { version: header[0] >> 3 & 0b111, poll: header[2], transmit, has_trailer })
    }
}
