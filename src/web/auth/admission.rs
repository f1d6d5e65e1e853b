//! By what a long answer was admitted, and whether that still holds: an event stream must not outlive its token.

use std::time::Instant;

use actix_web::http::header::{AUTHORIZATION, HeaderMap};
use actix_web::web::Data;
use tokio::sync::watch;

use super::gate::{Gate, bearer};
use super::{hash, known};
use crate::config::{Config, Http};
use std::sync::Arc;

/// The admission of a request that reads.
pub struct Admission {
    gate: Data<Gate>,
    config: watch::Receiver<Arc<Config>>,
    by: By,
}

#[derive(Debug, Clone, Copy)]
enum By {
    /// Reading is open.
    Nothing,
    /// A token, by its hash.
    Token([u8; 32]),
    /// A session, by the hash of its cookie.
    Session([u8; 32]),
}

impl Admission {
    /// The admission of the request with these headers, which the gate has let through.
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

    /// Whether the same request would be let through now, by the same token or session.
    pub fn holds(&self) -> bool {
        let http: &Http = &self.config.borrow().http;
        match self.by {
            By::Nothing => self.gate.reading_is_open(http),
            By::Token(hash) => known(http, &hash).is_some(),
            By::Session(hash) => self.gate.sessions.is_open(http, &hash, Instant::now()),
        }
    }

    /// Waits for another configuration, forever if there will be none.
    pub async fn changed(&mut self) {
        if self.config.changed().await.is_err() {
            std::future::pending().await
        }
    }
}
