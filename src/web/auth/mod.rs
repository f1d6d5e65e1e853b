//! Who may do what: bearer tokens and the sessions of browsers, their roles, and limits for those who guess or hurry.
//!
//! Reading is open on loopback, and beyond it with `public_read`; everything else needs a token or a session. A token
//! that is sent is always judged, also where none is needed. Tokens come in the `Authorization` header only, or once in
//! the body that opens a session: a URL ends up in logs. What is kept is their hash, which is compared in constant time
//! with that of each token there is.

mod gate;
mod guard;
mod guesses;
mod login;
mod origin;
mod session;

pub use gate::Gate;
pub use guard::guard;
pub use login::ENDPOINTS;
pub use session::Caller;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::config::{Http, Token};

/// The configured token that this is; all are compared, so that time tells nothing.
fn known<'a>(http: &'a Http, token: &str) -> Option<&'a Token> {
    let hash: [u8; 32] = Sha256::digest(token.as_bytes()).into();
    http.tokens
        .iter()
        .fold(None, |found, known| if bool::from(known.sha256.ct_eq(&hash)) { Some(known) } else { found })
}
