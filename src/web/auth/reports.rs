//! Reports wrong tokens in the log and in the audit log: at once when the first network reaches the limit, and all
//! wrong tokens of a minute in one entry.

use std::sync::{Arc, Weak};

use actix_web::{rt, web};
use tokio::time::sleep;

use super::gate::Gate;
use super::guesses::{FAILURES, PERIOD};
use crate::web::State;

/// Call this after each wrong token.
pub(super) fn report(gate: &web::Data<Gate>, state: &web::Data<State>) {
    let news = gate.guesses.news();
    if let Some(network) = news.over {
        let outcome = format!("{FAILURES} within {} s: further ones are refused with 429", PERIOD.as_secs());
        state.audit.wrong_tokens(&network, outcome, state.clock.now());
    }
    if news.starts_period {
        // A weak reference, so that a waiting report does not keep a stopping service alive.
        let (gate, state) = (gate.clone().into_inner(), state.clone().into_inner());
        rt::spawn(summarise_later(Arc::downgrade(&gate), Arc::downgrade(&state)));
    }
}

async fn summarise_later(gate: Weak<Gate>, state: Weak<State>) {
    sleep(PERIOD).await;
    let (Some(gate), Some(state)) = (gate.upgrade(), state.upgrade()) else { return };
    if let Some(summary) = gate.guesses.summary() {
        state.audit.wrong_tokens(&summary.most, summary.to_string(), state.clock.now());
    }
}
