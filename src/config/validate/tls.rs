//! Validates `[http.tls]`: the files exist, key and certificate match, and the certificate is valid today.

use std::path::{Path, PathBuf};
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

/// Warn about a certificate that expires within this time, in seconds.
const SOON_S: i64 = 14 * 86_400;

pub(super) fn tls(
    section: &raw::HttpTls,
    rules: &mut Rules<'_>,
    surroundings: &Surroundings<'_>,
    warnings: &mut Vec<String>,
) -> Option<Tls> {
    let files = [&section.certificate, &section.key].map(|file| resolve(file, surroundings));
    match pair(&files) {
        Ok(pair) => {
            warnings.extend(pair.cert.first().and_then(|leaf| validity_warning(leaf, Timestamp::now())));
            let (certificate, key) = (section.certificate.clone(), section.key.clone());
            Some(Tls { certificate, key, files, ends_unix_s: end(&pair), pair })
        }
        Err(faults) => {
            for (path, fault) in ["http.tls.certificate", "http.tls.key"].map(KeyPath::dotted).iter().zip(faults) {
                fault.into_iter().for_each(|fault| rules.refuse_file(path, fault));
            }
            None
        }
    }
}

/// Reads the certificate and its key, or reports what is wrong. Blocks.
pub(in crate::config) fn pair(files: &[PathBuf; 2]) -> Result<Arc<CertifiedKey>, [Option<FileFault>; 2]> {
    let [certificate, _] = files;
    let (chain, key) = match (chain(certificate), key(&files[1])) {
        (Ok(chain), Ok(key)) => (chain, key),
        (chain, key) => return Err([chain.err(), key.err()]),
    };
    let wrong = |why| Some(FileFault::Wrong(why));
    CertifiedKey::from_der(chain, key, &ring::default_provider()).map(Arc::new).map_err(|why| match why {
        Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
            [None, wrong(format!("is not the key of the certificate in {}", certificate.display()))]
        }
        Error::InvalidCertificate(why) => [wrong(format!("contains a certificate that cannot be used: {why:?}")), None],
        why => [None, wrong(format!("contains a key that cannot be used: {why}"))],
    })
}

/// When a certificate expires, in Unix time.
pub(in crate::config) fn end(pair: &CertifiedKey) -> Option<i64> {
    certificate::validity(pair.cert.first()?).map(|(_, end)| end.as_second())
}

fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, FileFault> {
    let pem = pem(path)?;
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match all {
        Ok(chain) if chain.is_empty() => {
            Err(FileFault::Wrong(format!("{} contains no certificate in PEM", path.display())))
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
        PemError::NoItemsFound => FileFault::Wrong(format!("{} contains no {what} in PEM", path.display())),
        // The reason is dropped, because it could repeat a line of the file.
        _ => FileFault::Wrong(format!("{} is not PEM", path.display())),
    }
}

/// A warning about the validity of a certificate; not a fault, because this host's clock may be wrong.
fn validity_warning(leaf: &CertificateDer<'_>, now: Timestamp) -> Option<String> {
    let (begin, end) = certificate::validity(leaf)?;
    let left_s = end.as_second() - now.as_second();
    match () {
        () if left_s < 0 => Some(format!("the certificate of http.tls expired on {end}")),
        () if begin > now => Some(format!("the certificate of http.tls is valid from {begin} only")),
        () if left_s < SOON_S => Some(format!("the certificate of http.tls expires on {end}")),
        () => None,
    }
}
