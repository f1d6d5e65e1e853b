//! HTTPS by rustls. Each handshake reads the certificate from the current configuration, so a reload changes it
//! for new connections only. In the last day of a certificate, handshakes check its file for a new one.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::sync::watch;

use super::renewal::Renewal;
use crate::config::Config;

/// Provides the certificate of the current configuration.
#[derive(Debug)]
struct Current {
    config: watch::Receiver<Arc<Config>>,
    /// The certificate at startup. Enabling or disabling TLS needs a restart.
    first: Arc<CertifiedKey>,
    renewal: Renewal,
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let config = self.config.borrow();
        self.renewal.before_the_end(config.http.tls.as_ref().and_then(|tls| tls.ends_unix_s));
        Some(Arc::clone(config.http.tls.as_ref().map_or(&self.first, |tls| &tls.pair)))
    }
}

/// The TLS configuration; `None` for plain HTTP.
///
/// # Errors
/// When rustls rejects its own defaults.
pub fn server(config: &watch::Receiver<Arc<Config>>, renewal: &Renewal) -> Result<Option<ServerConfig>, rustls::Error> {
    let Some(first) = config.borrow().http.tls.as_ref().map(|tls| Arc::clone(&tls.pair)) else { return Ok(None) };
    let current = Current { config: config.clone(), first, renewal: renewal.clone() };
    let server = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(current));
    Ok(Some(server))
}
