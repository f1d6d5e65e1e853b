//! How a long response was authorised, and whether that is still valid: an event stream must not outlive its token.

use std::time::Instant;

use actix_web::http::header::{AUTHORIZATION, HeaderMap};
use actix_web::web::Data;
use tokio::sync::watch;

use super::gate::{Gate, bearer};
use super::{hash, known};
use crate::config::{Config, Http};
use std::sync::Arc;

/// How a read request was authorised.
pub struct Admission {
    gate: Data<Gate>,
    config: watch::Receiver<Arc<Config>>,
    by: By,
}

#[derive(Debug, Clone, Copy)]
enum By {
    /// Reading needs no token.
    Nothing,
    /// By a token, identified by its hash.
    Token([u8; 32]),
    /// By a session, identified by the hash of its cookie.
    Session([u8; 32]),
}

impl Admission {
    /// How the request with these headers was authorised. The gate has already accepted it.
    pub fn of(headers: &HeaderMap, gate: Data<Gate>, mut config: watch::Receiver<Arc<Config>>) -> Self {
        let token = headers.get(AUTHORIZATION).and_then(bearer);
        let by = match token {
            Some(token) => By::Token(hash(token)),
            None => {
                let http = &config.borrow_and_update().http;
                gate.sessions.current(http, headers, Instant::now()).map_or(By::Nothing, By::Session)
            }
        };
        Self { gate, config, by }
    }

    /// Whether the same token or session would be accepted now.
    pub fn holds(&self) -> bool {
        let http: &Http = &self.config.borrow().http;
        match self.by {
            By::Nothing => self.gate.reading_is_open(http),
            By::Token(hash) => known(http, &hash).is_some(),
            By::Session(hash) => self.gate.sessions.is_open(http, &hash, Instant::now()),
        }
    }

    /// Waits for the next configuration; never completes if there is none.
    pub async fn changed(&mut self) {
        if self.config.changed().await.is_err() {
            std::future::pending().await
        }
    }
}
