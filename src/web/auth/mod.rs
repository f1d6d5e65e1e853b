//! Authentication and authorisation: bearer tokens, browser sessions, roles, and limits for guesses and for changes.
//!
//! Reading is open on loopback, and beyond it with `public_read`; everything else needs a token or a session. A token
//! in a request is always checked, even where none is needed. A right token is never rejected because of wrong ones.
//! Tokens are accepted in the `Authorization` header, or once in the body that opens a session; never in a URL, because
//! URLs end up in logs. Only hashes are kept, and they are compared in constant time with every configured token.

mod admission;
pub mod client;
mod gate;
mod guard;
mod guesses;
mod login;
mod origin;
mod reports;
mod session;
pub mod setup;

pub use admission::Admission;
pub use gate::Gate;
pub use guard::guard;
pub use login::ENDPOINTS;
pub use session::Caller;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::config::{Http, Token};

/// The configured token with this hash. Compares with all tokens, so that the time reveals nothing.
fn known<'a>(http: &'a Http, hash: &[u8; 32]) -> Option<&'a Token> {
    http.tokens.iter().fold(None, |found, token| if bool::from(token.sha256.ct_eq(hash)) { Some(token) } else { found })
}

/// Whether the configuration has this token.
pub(super) fn is_known(http: &Http, token: &str) -> bool {
    known(http, &hash(token)).is_some()
}

fn hash(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}
