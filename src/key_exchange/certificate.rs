//! Reads the parts of a certificate that are shown to people. rustls decides whether it is valid.

use jiff::Timestamp;
use ntp_monitor_core::nts::Certificate;
use ntp_monitor_core::text::plain::one_line;
use rustls::pki_types::CertificateDer;

/// Longest text that is kept of a name.
const MAX_NAME_CHARS: usize = 200;
/// Longest serial number, in hexadecimal: RFC 5280 allows 20 octets.
const MAX_SERIAL_CHARS: usize = 64;

/// `None` if it is not a certificate.
pub(super) fn read(der: &CertificateDer<'_>) -> Option<Certificate> {
    let (_, found) = x509_parser::parse_x509_certificate(der).ok()?;
    let validity = found.validity();
    Some(Certificate {
        subject: short(&found.subject().to_string(), MAX_NAME_CHARS),
        issuer: short(&found.issuer().to_string(), MAX_NAME_CHARS),
        serial: short(&found.raw_serial_as_string().replace(':', ""), MAX_SERIAL_CHARS),
        not_before: Timestamp::from_second(validity.not_before.timestamp()).ok()?,
        not_after: Timestamp::from_second(validity.not_after.timestamp()).ok()?,
    })
}

fn short(text: &str, chars: usize) -> Box<str> {
    one_line(text, ' ').chars().take(chars).collect::<String>().into()
}
