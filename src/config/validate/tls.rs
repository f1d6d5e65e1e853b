//! Rules of `[http.tls]`: the files are there, belong together, and the certificate is valid today.

use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use rustls::crypto::ring;
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};

use super::{Rules, Surroundings};
use crate::config::fault::KeyPath;
use crate::config::model::Tls;
use crate::config::named_file::{CERTIFICATES, FileFault, resolve};
use crate::config::{certificate, raw};
use crate::regular_file;

/// A certificate that ends within this time is worth a warning, in seconds.
const SOON_S: i64 = 14 * 86_400;

pub(super) fn tls(
    section: &raw::HttpTls,
    rules: &mut Rules<'_>,
    surroundings: &Surroundings<'_>,
    warnings: &mut Vec<String>,
) -> Option<Tls> {
    let [certificate_path, key_path] = ["http.tls.certificate", "http.tls.key"].map(KeyPath::dotted);
    let chain = chain(&resolve(&section.certificate, surroundings));
    let key = key(&resolve(&section.key, surroundings));
    let refuse = |rules: &mut Rules<'_>, path: &KeyPath, why: String| rules.require(false, path, || why);
    let (chain, key) = match (chain, key) {
        (Ok(chain), Ok(key)) => (chain, key),
        (chain, key) => {
            chain.err().into_iter().for_each(|fault| rules.refuse_file(&certificate_path, fault));
            key.err().into_iter().for_each(|fault| rules.refuse_file(&key_path, fault));
            return None;
        }
    };
    warnings.extend(chain.first().and_then(|leaf| doubt(leaf, Timestamp::now())));
    match CertifiedKey::from_der(chain, key, &ring::default_provider()) {
        Ok(pair) => {
            let (certificate, key) = (section.certificate.clone(), section.key.clone());
            Some(Tls { certificate, key, pair: Arc::new(pair) })
        }
        Err(Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => {
            refuse(rules, &key_path, format!("is not the key of the certificate in {}", section.certificate.display()));
            None
        }
        Err(Error::InvalidCertificate(why)) => {
            refuse(rules, &certificate_path, format!("holds a certificate that cannot be used: {why:?}"));
            None
        }
        Err(why) => {
            refuse(rules, &key_path, format!("holds a key that cannot be used: {why}"));
            None
        }
    }
}

fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, FileFault> {
    let pem = pem(path)?;
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match all {
        Ok(chain) if chain.is_empty() => {
            Err(FileFault::Wrong(format!("{} holds no certificate in PEM", path.display())))
        }
        all => all.map_err(|why| useless(path, why, "certificate")),
    }
}

fn key(path: &Path) -> Result<PrivateKeyDer<'static>, FileFault> {
    PrivateKeyDer::from_pem_slice(&pem(path)?).map_err(|why| useless(path, why, "private key without a passphrase"))
}

fn pem(path: &Path) -> Result<Vec<u8>, FileFault> {
    regular_file::read(path, CERTIFICATES).map_err(|why| FileFault::of(path, &why, ""))
}

fn useless(path: &Path, why: PemError, what: &str) -> FileFault {
    match why {
        PemError::NoItemsFound => FileFault::Wrong(format!("{} holds no {what} in PEM", path.display())),
        // The reason could repeat a line of the file.
        _ => FileFault::Wrong(format!("{} is not PEM", path.display())),
    }
}

/// What is wrong with the time of a certificate. No fault: the clock may be what is wrong.
fn doubt(leaf: &CertificateDer<'_>, now: Timestamp) -> Option<String> {
    let (begin, end) = certificate::validity(leaf)?;
    let left_s = end.as_second() - now.as_second();
    match () {
        () if left_s < 0 => Some(format!("the certificate of http.tls expired on {end}")),
        () if begin > now => Some(format!("the certificate of http.tls is valid from {begin} only")),
        () if left_s < SOON_S => Some(format!("the certificate of http.tls expires on {end}")),
        () => None,
    }
}
