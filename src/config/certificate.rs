//! Reads certificates at startup: their validity and the roots of trust.

use jiff::Timestamp;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

/// The start and end of the validity; `None` if it is not a certificate.
pub(super) fn validity(der: &[u8]) -> Option<(Timestamp, Timestamp)> {
    let (_, certificate) = x509_parser::parse_x509_certificate(der).ok()?;
    let validity = certificate.validity();
    let at = |seconds| Timestamp::from_second(seconds).ok();
    Some((at(validity.not_before.timestamp())?, at(validity.not_after.timestamp())?))
}

/// The certificates of a PEM file as roots of trust.
///
/// # Errors
/// When there is none, or rustls rejects one. The text never shows content of the file.
pub(super) fn roots(pem: &str) -> Result<RootCertStore, &'static str> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate = certificate.map_err(|_| "is not valid PEM")?;
        roots.add(certificate).map_err(|_| "contains a certificate that cannot be used as a root")?;
    }
    if roots.is_empty() { Err("contains no certificate in PEM") } else { Ok(roots) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate() -> Vec<u8> {
        let mut params = rcgen::CertificateParams::new(["ntp1.example".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(1999, 12, 31);
        params.not_after = rcgen::date_time_ymd(2050, 1, 1);
        params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn both_forms_of_time_are_read() {
        let (begin, end) = validity(&certificate()).unwrap();
        assert_eq!([begin, end].map(|at| at.to_string()), ["1999-12-31T00:00:00Z", "2050-01-01T00:00:00Z"]);
    }

    #[test]
    fn invalid_certificate_has_no_validity() {
        let der = certificate();
        for length in 0..der.len() {
            assert_eq!(validity(&der[..length]), None, "{length}");
        }
        assert_eq!(validity(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff]), None);
    }
}
