//! Rereads the files of `[http]` and `nts_ca` without a reload of the configuration.

use std::sync::Arc;

use super::model::{Http, Nts, Tls};
use super::validate::{http, outbound, tls};

impl Http {
    /// `[http]` with the current content of its files; `None` if nothing changed. A file that cannot be read or is
    /// invalid counts as unchanged, and so does a certificate without its key. Blocks.
    #[must_use]
    pub fn renewed(&self) -> Option<Self> {
        let mut new = self.clone();
        for token in &mut new.tokens {
            if let Some(hash) = token.file.as_deref().and_then(http::hash_of_file) {
                token.sha256 = hash;
            }
        }
        if let Some(tls) = &mut new.tls {
            tls.renew();
        }
        (new != *self).then_some(new)
    }
}

impl Nts {
    /// The current content of `nts_ca`. A file that cannot be read or is invalid counts as unchanged. Blocks.
    #[must_use]
    pub fn authorities(&self) -> Option<Arc<str>> {
        let now = self.ca_file.as_deref().and_then(|file| outbound::pem_at(file).ok());
        match now.filter(|pem| self.ca_pem.as_deref() != Some(pem.as_str())) {
            Some(pem) => Some(pem.into()),
            None => self.ca_pem.clone(),
        }
    }
}

impl Tls {
    fn renew(&mut self) {
        if let Ok(pair) = tls::pair(&self.files) {
            (self.ends_unix_s, self.pair) = (tls::end(&pair), pair);
        }
    }
}
