//! Reads the files of `[http]` again, while the configuration that names them stays in effect.

use super::model::{Http, Tls};
use super::validate::{http, tls};

impl Http {
    /// With what its files contain now; `None` if they contain the same. A file that cannot be read, or does not contain
    /// what it should, counts as unchanged, and so does a certificate without its key. Blocks.
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

impl Tls {
    fn renew(&mut self) {
        if let Ok(pair) = tls::pair(&self.files) {
            (self.ends_unix_s, self.pair) = (tls::end(&pair), pair);
        }
    }
}
