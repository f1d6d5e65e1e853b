//! The one-time link that the first start prints: it makes its holder the administrator of a service that has none.
//!
//! The code in the link is used once, within [`VALID_FOR`], and only while no token of an administrator is configured.
//! It is exchanged for a token, whose hash is written to the configuration file. The code is in the fragment of the
//! link, which browsers do not send: it gets into no log of a server or proxy, and programs that fetch links do not use
//! it up.

use std::fmt::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use subtle::ConstantTimeEq;

use super::hash;
use crate::config::{Http, Role};

/// How long the link can be used.
pub const VALID_FOR: Duration = Duration::from_secs(15 * 60);
/// The name of the token that the link creates.
pub const TOKEN_NAME: &str = "setup";

/// The link of this process, if it has one.
#[derive(Debug, Default)]
pub struct SetupLink(Mutex<Option<Code>>);

/// Only the hash is kept.
struct Code {
    hash: [u8; 32],
    until: Instant,
    /// Whether a request is using it.
    is_taken: bool,
}

impl std::fmt::Debug for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Code").field("until", &self.until).finish_non_exhaustive()
    }
}

/// Whether the link can still be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LinkState {
    Waiting,
    Expired,
}

impl LinkState {
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Expired => "expired",
        }
    }
}

/// Why a code is rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotTaken {
    /// It is not the code of this process, or was used already.
    #[error("this link is not valid: it was already used, or is from an earlier start")]
    Unknown,
    #[error("this link has expired: restart the service to get another one")]
    Expired,
}

impl SetupLink {
    /// A link that is valid from `now` on, and its secret code.
    #[must_use]
    pub fn new(now: Instant) -> (Self, String) {
        let code = secret();
        let kept = Code { hash: hash(&code), until: now + VALID_FOR, is_taken: false };
        (Self(Mutex::new(Some(kept))), code)
    }

    /// The state of the link; `None` without a link.
    pub(super) fn state(&self, http: &Http, now: Instant) -> Option<LinkState> {
        let code = self.code();
        let code = code.as_ref().filter(|_| !has_administrator(http))?;
        Some(if now < code.until { LinkState::Waiting } else { LinkState::Expired })
    }

    /// Takes the code, so that no other request can use it, until the result is dropped or used up.
    pub(super) fn take(&self, code: &str, http: &Http, now: Instant) -> Result<Taken<'_>, NotTaken> {
        let mut held = self.code();
        let known = held.as_mut().ok_or(NotTaken::Unknown)?;
        let is_right = bool::from(known.hash.ct_eq(&hash(code)));
        if !is_right || known.is_taken || has_administrator(http) {
            return Err(NotTaken::Unknown);
        }
        if now >= known.until {
            return Err(NotTaken::Expired);
        }
        known.is_taken = true;
        Ok(Taken(self))
    }

    fn code(&self) -> MutexGuard<'_, Option<Code>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A code that one request is using. If it is dropped without [`Taken::use_up`] (the file was not written), it can be
/// used again.
#[derive(Debug)]
pub(super) struct Taken<'l>(&'l SetupLink);

impl Taken<'_> {
    pub(super) fn use_up(self) {
        *self.0.code() = None;
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        if let Some(code) = self.0.code().as_mut() {
            code.is_taken = false;
        }
    }
}

/// Whether a token of an administrator is configured.
#[must_use]
pub fn has_administrator(http: &Http) -> bool {
    http.tokens.iter().any(|token| token.role == Role::Admin)
}

/// 256 random bits, hexadecimal.
pub(super) fn secret() -> String {
    rand::random::<[u8; 32]>().iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Token;

    fn http(role: Option<Role>) -> Http {
        let token = |role| Token { name: "a".into(), role, sha256: hash("a"), file: None };
        Http {
            listen: "127.0.0.1:0".parse().unwrap(),
            public_read: false,
            names: Vec::new(),
            trusted_proxies: Vec::new(),
            base_path: String::new(),
            tls: None,
            tokens: role.map(token).into_iter().collect(),
        }
    }

    #[test]
    fn code_is_used_once() {
        let (now, no_tokens) = (Instant::now(), http(None));
        let (link, code) = SetupLink::new(now);
        let taken = link.take(&code, &no_tokens, now).unwrap();
        assert_eq!(link.take(&code, &no_tokens, now).unwrap_err(), NotTaken::Unknown, "two requests at once");
        taken.use_up();
        assert_eq!(link.take(&code, &no_tokens, now).unwrap_err(), NotTaken::Unknown);
        assert_eq!(link.state(&no_tokens, now), None);
    }

    #[test]
    fn code_can_be_used_again_when_the_file_was_not_written() {
        let (now, no_tokens) = (Instant::now(), http(None));
        let (link, code) = SetupLink::new(now);
        drop(link.take(&code, &no_tokens, now).unwrap());
        assert!(link.take(&code, &no_tokens, now).is_ok());
    }

    #[test]
    fn code_expires_and_a_wrong_one_is_refused() {
        let (now, no_tokens) = (Instant::now(), http(None));
        let (link, code) = SetupLink::new(now);
        assert_eq!(link.take(&secret(), &no_tokens, now).unwrap_err(), NotTaken::Unknown);
        assert_eq!(link.state(&no_tokens, now + VALID_FOR - Duration::from_secs(1)), Some(LinkState::Waiting));
        assert_eq!(link.state(&no_tokens, now + VALID_FOR), Some(LinkState::Expired));
        assert_eq!(link.take(&code, &no_tokens, now + VALID_FOR).unwrap_err(), NotTaken::Expired);
    }

    #[test]
    fn code_is_void_once_there_is_an_administrator() {
        let now = Instant::now();
        let (link, code) = SetupLink::new(now);
        let taken = link.take(&code, &http(Some(Role::Admin)), now);
        assert_eq!(taken.unwrap_err(), NotTaken::Unknown);
        assert_eq!(link.state(&http(Some(Role::Admin)), now), None);
        assert!(link.take(&code, &http(Some(Role::Operate)), now).is_ok());
        assert!(!format!("{link:?}").contains(&code[..8]));
    }

    #[test]
    fn service_without_link_takes_no_code() {
        let link = SetupLink::default();
        assert_eq!(link.take("", &http(None), Instant::now()).unwrap_err(), NotTaken::Unknown);
    }
}
