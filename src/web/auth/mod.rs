//! Who may do what: bearer tokens and the sessions of browsers, their roles, and limits for those who guess or hurry.
//!
//! Reading is open on loopback, and beyond it with `public_read`; everything else needs a token or a session. A token
//! that is sent is always judged, also where none is needed, and a right one is never refused because of wrong ones.
//! Tokens come in the `Authorization` header only, or once in the body that opens a session: a URL ends up in logs. What
//! is kept is their hash, which is compared in constant time with that of each token there is.

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

/// The configured token with this hash. All are compared, so that the time reveals nothing.
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
