//! How long an X.509 certificate is valid: the one property that users want a warning about (RFC 5280
//! §4.1.2.5). Reads no more of DER than leads there; whether the certificate is sound is rustls' business.

use jiff::Timestamp;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

const SEQUENCE: u8 = 0x30;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// `[0]`, the optional version.
const VERSION: u8 = 0xa0;

/// From when until when; `None` for what is no certificate.
pub(super) fn validity(der: &[u8]) -> Option<(Timestamp, Timestamp)> {
    let mut certificate = Der(Der(der).expect(SEQUENCE)?);
    let mut body = Der(certificate.expect(SEQUENCE)?);
    if body.0.first() == Some(&VERSION) {
        body.next()?;
    }
    // Serial number, signature algorithm, issuer.
    (0..3).try_for_each(|_| body.next().map(drop))?;
    let mut validity = Der(body.expect(SEQUENCE)?);
    Some((time(validity.next()?)?, time(validity.next()?)?))
}

/// The certificates of a PEM file as roots of trust.
///
/// # Errors
/// When there is none, or one that rustls does not take; the text never shows what is in the file.
pub(super) fn roots(pem: &str) -> Result<RootCertStore, &'static str> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate = certificate.map_err(|_| "holds what is not valid PEM")?;
        roots.add(certificate).map_err(|_| "holds a certificate that cannot be used as a root")?;
    }
    if roots.is_empty() { Err("holds no certificate in PEM") } else { Ok(roots) }
}

/// What is left to read.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// The next tag with its content.
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..0x80 => (usize::from(first), rest),
            // So many bytes of length follow; four are more than any certificate has.
            _ => {
                let (length, rest) = rest.split_at_checked(usize::from(first & 0x7f)).filter(|(l, _)| l.len() <= 4)?;
                (length.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)), rest)
            }
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, content))
    }

    fn expect(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.next().filter(|(found, _)| *found == tag).map(|(_, content)| content)
    }
}

/// `YYMMDDHHMMSSZ`, where 50 is 1950, or `YYYYMMDDHHMMSSZ`.
fn time((tag, text): (u8, &[u8])) -> Option<Timestamp> {
    let text = std::str::from_utf8(text).ok()?;
    let text = match tag {
        UTC_TIME => format!("{}{text}", if text.get(..2)? < "50" { "20" } else { "19" }),
        GENERALIZED_TIME => text.to_owned(),
        _ => return None,
    };
    let digits = text.strip_suffix('Z').filter(|digits| digits.len() == 14 && digits.is_ascii())?;
    let (date, clock) = digits.split_at(8);
    format!("{date}T{clock}Z").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
        let length = u8::try_from(content.len()).unwrap();
        let head = if length < 0x80 { vec![tag, length] } else { vec![tag, 0x81, length] };
        [head.as_slice(), content].concat()
    }

    fn certificate(begin: Vec<u8>, end: Vec<u8>) -> Vec<u8> {
        let validity = tlv(SEQUENCE, &[begin, end].concat());
        let parts = [tlv(VERSION, &[2, 1, 2]), tlv(2, &[7]), tlv(SEQUENCE, &[0; 90]), tlv(SEQUENCE, &[]), validity];
        tlv(SEQUENCE, &tlv(SEQUENCE, &parts.concat()))
    }

    #[test]
    fn both_forms_of_time_are_read() {
        let der = certificate(tlv(UTC_TIME, b"991231235959Z"), tlv(GENERALIZED_TIME, b"20500101000000Z"));
        let (begin, end) = validity(&der).unwrap();
        assert_eq!(
            (begin.to_string(), end.to_string()),
            ("1999-12-31T23:59:59Z".into(), "2050-01-01T00:00:00Z".into())
        );
    }

    #[test]
    fn what_is_no_certificate_has_no_time() {
        let der = certificate(tlv(UTC_TIME, b"991231235959Z"), tlv(UTC_TIME, b"soon"));
        assert_eq!(validity(&der), None);
        let der = certificate(tlv(UTC_TIME, b"991231235959Z"), tlv(UTC_TIME, b"301231235959Z"));
        for length in 0..der.len() {
            assert_eq!(validity(&der[..length]), None, "{length}");
        }
        assert_eq!(validity(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff]), None);
    }
}
