//! The authorities that may sign the certificate of a key-exchange server: those of the system, and those of `nts_ca`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustls::RootCertStore;

use crate::outbound::trust::certificates;

/// Certificates are read again after this time, because the system replaces its bundle.
const FRESH: Duration = Duration::from_secs(3600);

/// The trusted certificates, read once for all servers with the same `nts_ca`.
#[derive(Debug, Default)]
pub struct Trust(Mutex<HashMap<Option<Arc<str>>, Known>>);

#[derive(Debug)]
struct Known {
    read: Instant,
    roots: Arc<RootCertStore>,
}

impl Trust {
    /// The authorities of the system and of `ca_pem`. Reads the system's if they were not read within the last hour.
    pub(super) fn roots(&self, ca_pem: Option<&Arc<str>>) -> Result<Arc<RootCertStore>, &'static str> {
        // No change can leave the map inconsistent.
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        known.retain(|_, it| now.duration_since(it.read) < FRESH);
        if let Some(it) = known.get(&ca_pem.cloned()) {
            return Ok(Arc::clone(&it.roots));
        }
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(certificates(ca_pem.map(|pem| &**pem))?);
        if roots.is_empty() {
            return Err("this host has no trusted certificates: install ca-certificates, or set nts_ca");
        }
        let roots = Arc::new(roots);
        known.insert(ca_pem.cloned(), Known { read: now, roots: Arc::clone(&roots) });
        Ok(roots)
    }
}
