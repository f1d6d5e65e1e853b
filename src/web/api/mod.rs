//! `/api/v1/`: everything the service knows, as JSON.

mod about;
mod events;
mod history;
pub mod judgement;
pub mod notifiers;
pub mod points;
pub mod reports;
mod servers;

use super::live;
use super::openapi::Endpoint;

/// What can be asked for below `/api/v1`, in the order in which it is documented.
pub const ENDPOINTS: &[&[Endpoint]] = &[
    about::ENDPOINTS,
    servers::ENDPOINTS,
    history::ENDPOINTS,
    judgement::ENDPOINTS,
    events::ENDPOINTS,
    notifiers::ENDPOINTS,
    reports::ENDPOINTS,
    live::ENDPOINTS,
];
