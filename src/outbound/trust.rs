//! The certificates that TLS clients trust: those of the system and those of a `ca_file`.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

/// Usual paths of the system's certificate bundle.
const BUNDLES: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// The system's certificate bundle: the file in `SSL_CERT_FILE`, or the first usual one that exists.
#[must_use]
pub fn system_bundle() -> Option<PathBuf> {
    let named = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
    named.or_else(|| BUNDLES.iter().map(PathBuf::from).find(|path| path.is_file()))
}

/// The certificates of the system and of `ca_pem`. System certificates that cannot be read are skipped; `doctor`
/// reports a missing bundle.
///
/// # Errors
/// When `ca_pem` contains an invalid certificate. The message does not show its content.
pub fn certificates(ca_pem: Option<&str>) -> Result<Vec<CertificateDer<'static>>, &'static str> {
    let system = system_bundle().and_then(|path| std::fs::read(path).ok()).unwrap_or_default();
    let mut all: Vec<_> = CertificateDer::pem_slice_iter(&system).filter_map(Result::ok).collect();
    for certificate in CertificateDer::pem_slice_iter(ca_pem.unwrap_or_default().as_bytes()) {
        all.push(certificate.map_err(|_| "ca_file is not valid PEM")?);
    }
    Ok(all)
}

/// The settings of a TLS client: rustls with the provider ring, TLS 1.2 or 1.3.
///
/// # Errors
/// When `ca_pem` contains an invalid certificate.
pub fn client(ca_pem: Option<&str>) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates(ca_pem)?);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    Ok(builder.map_err(|why| why.to_string())?.with_root_certificates(roots).with_no_client_auth())
}

/// Explains a certificate error of rustls, with the setting that helps; `None` for other errors.
#[must_use]
pub fn certificate_fault(error: &str) -> Option<&'static str> {
    let reason = error.split_once("invalid peer certificate: ")?.1;
    let starts = |kind: &str| reason.starts_with(kind);
    Some(if starts("UnknownIssuer") {
        "the certificate of the receiver is not trusted; for one of your own, set ca_file"
    } else if starts("Expired") || starts("certificate expired") {
        "the certificate of the receiver has expired, or this host's clock is wrong"
    } else if starts("NotValidYet") || starts("certificate not valid yet") {
        "the certificate of the receiver is not valid yet, or this host's clock is wrong"
    } else if starts("NotValidForName") || starts("certificate not valid for name") {
        "the certificate of the receiver is for another name than the one in the configuration"
    } else if reason.contains("CaUsedAsEndEntity") {
        "the certificate of the receiver is marked as an authority; make it with CA:FALSE, or sign it with an authority of your own"
    } else {
        "the certificate of the receiver cannot be used"
    })
}

/// Explains an error of a TLS connection that is not about a certificate; `None` for other errors.
#[must_use]
pub fn handshake_fault(error: &str) -> Option<&'static str> {
    let contains = |part: &str| error.contains(part);
    if contains("received corrupt message") || contains("InvalidContentType") {
        Some("the server does not speak TLS at this port; for an unencrypted one, the URL begins with http://")
    } else if contains("CertificateRequired") {
        Some("the server requires a client certificate, which is not supported")
    } else if contains("ProtocolVersion") || contains("HandshakeFailure") || contains("incompatible") {
        Some("the server and this program have no version or cipher of TLS in common; it needs TLS 1.2 or later")
    } else if contains("close_notify") || contains("handshake eof") {
        Some("the server closed the connection during TLS")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invalid_ca_file_is_rejected_without_showing_it() {
        let broken = "-----BEGIN CERTIFICATE-----\nsecret!\n-----END CERTIFICATE-----\n";
        let why = client(Some(broken)).unwrap_err();
        assert!(!why.contains("secret"), "{why}");
        assert!(client(None).is_ok());
    }

    #[test]
    fn rejected_certificate_is_explained() {
        for (error, part) in [
            ("invalid peer certificate: UnknownIssuer", "set ca_file"),
            ("invalid peer certificate: certificate expired: verification time 1", "expired"),
            ("invalid peer certificate: NotValidForName", "another name"),
            ("invalid peer certificate: Other(OtherError(CaUsedAsEndEntity))", "CA:FALSE"),
        ] {
            assert!(certificate_fault(error).is_some_and(|text| text.contains(part)), "{error}");
        }
        assert_eq!((certificate_fault("connection refused"), handshake_fault("connection refused")), (None, None));
    }
}
