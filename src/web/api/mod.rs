//! `/api/v1/`: everything the service knows, as JSON.

mod about;
mod alerts;
mod ask;
mod clock;
mod config;
mod events;
mod fleet;
mod history;
pub mod judgement;
pub mod notifiers;
pub mod points;
pub mod reports;
mod rules;
mod servers;
mod sheet;
mod silences;
pub mod test;
mod traces;

use super::openapi::Endpoint;
use super::{audit, auth, live};

/// The endpoints below `/api/v1`, in the order of the documentation.
pub const ENDPOINTS: &[&[Endpoint]] = &[
    about::ENDPOINTS,
    auth::ENDPOINTS,
    config::ENDPOINTS,
    servers::ENDPOINTS,
    config::SERVERS,
    ask::ENDPOINTS,
    sheet::ENDPOINTS,
    test::ENDPOINTS,
    history::ENDPOINTS,
    traces::ENDPOINTS,
    judgement::ENDPOINTS,
    fleet::ENDPOINTS,
    clock::ENDPOINTS,
    events::ENDPOINTS,
    alerts::ENDPOINTS,
    rules::ENDPOINTS,
    silences::ENDPOINTS,
    notifiers::ENDPOINTS,
    reports::ENDPOINTS,
    live::ENDPOINTS,
    audit::ENDPOINTS,
];
