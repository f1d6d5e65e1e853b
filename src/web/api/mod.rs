//! `/api/v1/`: everything the service knows, as JSON.

mod about;
mod alerts;
mod events;
mod history;
pub mod judgement;
pub mod notifiers;
pub mod points;
mod rules;
mod servers;
mod silences;

use super::live;
use super::openapi::Endpoint;

/// What can be asked for below `/api/v1`, in the order in which it is documented.
pub const ENDPOINTS: &[&[Endpoint]] = &[
    about::ENDPOINTS,
    servers::ENDPOINTS,
    history::ENDPOINTS,
    judgement::ENDPOINTS,
    events::ENDPOINTS,
    alerts::ENDPOINTS,
    rules::ENDPOINTS,
    silences::ENDPOINTS,
    notifiers::ENDPOINTS,
    live::ENDPOINTS,
];
