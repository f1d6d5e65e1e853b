//! What a scripted server reads of a request.

/// Octets of an NTP header without extensions.
pub(super) const HEADER_BYTES: usize = 48;
/// Where the transmit time stands in it.
pub(super) const TRANSMIT: std::ops::Range<usize> = 40..48;

/// What of a request matters to a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// The protocol version.
    pub version: u8,
    /// The poll field.
    pub poll: u8,
    /// The transmit field, which the reply must echo.
    pub transmit: [u8; 8],
}

impl Request {
    /// Reads a client's request (mode 3); anything else gets no answer.
    #[must_use]
    pub fn parse(datagram: &[u8]) -> Option<Self> {
        let header = datagram.get(..HEADER_BYTES)?;
        let mode = header[0] & 0b111;
        let transmit = header[TRANSMIT].try_into().ok()?;
        (mode == 3).then_some(Self { version: header[0] >> 3 & 0b111, poll: header[2], transmit })
    }
}
