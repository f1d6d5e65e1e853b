//! The authenticated encryption that key exchange agrees on, and its keys.

use serde::{Deserialize, Serialize};

use std::fmt;

use aes_siv::KeyInit;
use aes_siv::siv::{Aes128Siv, Aes256Siv};

/// An algorithm for authenticated encryption (IANA registry of AEAD algorithms).
///
/// AEAD_AES_128_GCM_SIV (30) is not offered: implementations derive its keys differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Aead {
    /// 15: AEAD_AES_SIV_CMAC_256, which every server must have.
    AesSivCmac256,
    /// 17: AEAD_AES_SIV_CMAC_512.
    AesSivCmac512,
}

impl Aead {
    /// The algorithms that a client offers, in order of preference.
    pub const OFFERED: [Self; 2] = [Self::AesSivCmac256, Self::AesSivCmac512];

    /// The number in the registry.
    #[must_use]
    pub const fn number(self) -> u16 {
        match self {
            Self::AesSivCmac256 => 15,
            Self::AesSivCmac512 => 17,
        }
    }

    /// The inverse of [`Aead::number`]; `None` for an algorithm that was not offered.
    #[must_use]
    pub fn from_number(number: u16) -> Option<Self> {
        Self::OFFERED.into_iter().find(|aead| aead.number() == number)
    }

    /// The name for people, as in the registry without its prefix.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::AesSivCmac256 => "AES-SIV-CMAC-256",
            Self::AesSivCmac512 => "AES-SIV-CMAC-512",
        }
    }

    /// The length of a key in octets.
    #[must_use]
    pub const fn key_len(self) -> usize {
        match self {
            Self::AesSivCmac256 => 32,
            Self::AesSivCmac512 => 64,
        }
    }
}

/// A key for one direction.
#[derive(Clone, PartialEq, Eq)]
pub enum Key {
    /// For [`Aead::AesSivCmac256`].
    Siv256([u8; 32]),
    /// For [`Aead::AesSivCmac512`].
    Siv512([u8; 64]),
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").finish_non_exhaustive()
    }
}

impl Key {
    /// A key of these octets; `None` if their number is not that of the algorithm.
    #[must_use]
    pub fn new(aead: Aead, octets: &[u8]) -> Option<Self> {
        match aead {
            Aead::AesSivCmac256 => octets.try_into().ok().map(Self::Siv256),
            Aead::AesSivCmac512 => octets.try_into().ok().map(Self::Siv512),
        }
    }

    /// Encrypts `plain` and authenticates it together with `associated` and `nonce`. The result is 16 octets longer.
    /// Never `None` with the two headers that NTS uses; the library allows 126.
    #[must_use]
    pub fn seal(&self, associated: &[u8], nonce: &[u8], plain: &[u8]) -> Option<Vec<u8>> {
        let headers = [associated, nonce];
        match self {
            Self::Siv256(key) => Aes128Siv::new(key.into()).encrypt(headers, plain).ok(),
            Self::Siv512(key) => Aes256Siv::new(key.into()).encrypt(headers, plain).ok(),
        }
    }

    /// The plain text; `None` if anything was changed, or the key does not match.
    #[must_use]
    pub fn open(&self, associated: &[u8], nonce: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let headers = [associated, nonce];
        match self {
            Self::Siv256(key) => Aes128Siv::new(key.into()).decrypt(headers, sealed).ok(),
            Self::Siv512(key) => Aes256Siv::new(key.into()).decrypt(headers, sealed).ok(),
        }
    }
}

/// The keys of both directions, from one key exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keys {
    /// The algorithm that both are for.
    pub aead: Aead,
    /// Seals requests.
    pub to_server: Key,
    /// Opens replies.
    pub to_client: Key,
}

impl Keys {
    /// Exports both keys from a TLS connection: `export` fills a buffer for a context, and returns false if it cannot
    /// (RFC 8915 §5.1). `None` if it returned false.
    #[must_use]
    pub fn export(aead: Aead, mut export: impl FnMut(&mut [u8], &[u8; 5]) -> bool) -> Option<Self> {
        let mut key = |direction: u8| {
            let [high, low] = aead.number().to_be_bytes();
            let mut octets = [0; 64];
            let octets = &mut octets[..aead.key_len()];
            // Protocol 0 is NTPv4.
            export(octets, &[0, 0, high, low, direction]).then(|| Key::new(aead, octets)).flatten()
        };
        Some(Self { aead, to_server: key(0)?, to_client: key(1)? })
    }

    /// The label with which TLS derives the keys.
    pub const EXPORTER_LABEL: &'static [u8] = b"EXPORTER-network-time-security";
}

#[cfg(test)]
mod tests {
    use super::*;

    fn octets(hex: &str) -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
    }

    /// The nonce-based example of RFC 5297, appendix A.2, has two headers before the nonce; A.1 has one header and no
    /// nonce. NTS uses one header and a nonce, so this test combines both: the library must agree with A.2 for its
    /// first two headers, and `seal` must put the nonce after the associated data.
    #[test]
    fn cipher_agrees_with_rfc_5297_and_the_nonce_comes_last() {
        let key = octets("7f7e7d7c7b7a79787776757473727170404142434445464748494a4b4c4d4e4f");
        let first = octets("00112233445566778899aabbccddeeffdeaddadadeaddadaffeeddccbbaa99887766554433221100");
        let (second, nonce) = (octets("102030405060708090a0"), octets("09f911029d74e35bd84156c5635688c0"));
        let plain =
            octets("7468697320697320736f6d6520706c61696e7465787420746f20656e6372797074207573696e67205349562d414553");
        let sealed = octets(
            "7bdb6e3b432667eb06f4d14bff2fbd0fcb900f2fddbe404326601965c889bf17dba77ceb094fa663b7a3f748ba8af829ea64ad544a272e9c485b62a3fd5c0d",
        );
        let mut cipher = Aes128Siv::new_from_slice(&key).unwrap();
        assert_eq!(cipher.encrypt([&first, &second, &nonce], &plain).unwrap(), sealed);
        let ours = Key::new(Aead::AesSivCmac256, &key).unwrap();
        assert_eq!(ours.seal(&first, &nonce, &plain).unwrap(), cipher.encrypt([&first, &nonce], &plain).unwrap());
        assert_eq!(ours.open(&first, &nonce, &ours.seal(&first, &nonce, &plain).unwrap()), Some(plain));
    }

    #[test]
    fn exporter_context_names_protocol_algorithm_and_direction() {
        let mut contexts = Vec::new();
        let keys = Keys::export(Aead::AesSivCmac512, |octets, context| {
            octets.fill(context[4] + 1);
            contexts.push((octets.len(), *context));
            true
        });
        assert_eq!(contexts, [(64, [0, 0, 0, 17, 0]), (64, [0, 0, 0, 17, 1])]);
        let keys = keys.unwrap();
        assert_eq!((keys.to_server, keys.to_client), (Key::Siv512([1; 64]), Key::Siv512([2; 64])));
        assert_eq!(Keys::export(Aead::AesSivCmac256, |_, _| false), None);
    }

    #[test]
    fn keys_are_not_shown() {
        let key = Key::new(Aead::AesSivCmac256, &[77; 32]).unwrap();
        assert_eq!(format!("{key:?}"), "Key { .. }");
        assert_eq!(Key::new(Aead::AesSivCmac256, &[77; 31]), None);
        assert_eq!(Aead::OFFERED.map(|aead| Aead::from_number(aead.number())), Aead::OFFERED.map(Some));
        assert_eq!(Aead::from_number(30), None);
    }
}
