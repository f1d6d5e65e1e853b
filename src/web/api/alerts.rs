//! Alerts: active ones and past ones.

use actix_web::{HttpRequest, HttpResponse, web};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::web::State;
use crate::web::openapi::{Body, Endpoint, FROM, TO, Vantages, query};
use crate::web::params::{self, Range};
use crate::web::problem::Problem;
use crate::web::respond;
use ntp_monitor_core::alert::status::{Active, AlertState, Past};

pub const ENDPOINTS: &[Endpoint] = &[Endpoint::get("/api/v1/alerts", || web::to(alerts))
    .about("Active alerts, most severe first, and the history of fired alerts.")
    .of(Vantages::Own)
    .taking(&[
        query("state", "string", "pending, firing, inhibited, silenced; separated by commas. Default: all."),
        query("server", "string", "The name of a server, as in the alerts."),
        query("limit", "integer", "The number of latest history entries, 1 to 5000. Default: 100."),
        FROM,
        TO,
    ])
    .giving(Body::json::<Alerts>("active, and history (latest first)."))
    .or(&[304, 503])];

const USUAL: usize = 100;
const MOST: usize = 5000;
/// The default span without `from`: a month.
const USUAL_SPAN: std::time::Duration = std::time::Duration::from_secs(30 * 86_400);

/// The query parameters.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlertsQuery {
    state: Option<String>,
    server: Option<String>,
    limit: Option<String>,
    from: Option<String>,
    to: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Alerts {
    /// Active alerts, the most severe first.
    active: Vec<Active>,
    /// Alerts that fired, latest first. `ended_at` is `null` while an alert is active.
    history: Vec<Past>,
}

/// `GET /api/v1/alerts`.
pub async fn alerts(
    request: HttpRequest,
    state: web::Data<State>,
    query: web::Query<AlertsQuery>,
) -> Result<HttpResponse, Problem> {
    let query = query.into_inner();
    let states = states(query.state.as_deref())?;
    let limit = params::limit(query.limit.as_deref(), USUAL, MOST)?;
    let range = Range::parse(query.from.as_deref(), query.to.as_deref(), USUAL_SPAN, state.clock.now().wall_ns)?;
    let server = query.server.clone();
    // Include alerts that started at this very moment.
    let to_ns = range.to_ns.saturating_add(1);
    let history =
        state.store.read(move |reader| reader.alert_history(range.from_ns, to_ns, server.as_deref(), limit)).await?;
    let status = state.alerts.borrow().clone();
    let wanted = |it: &&Active| {
        states.contains(&it.state) && query.server.as_ref().is_none_or(|server| it.server.as_ref() == Some(server))
    };
    let active = status.active.iter().filter(wanted).cloned().collect();
    respond::json(&request, &Alerts { active, history })
}

fn states(text: Option<&str>) -> Result<Vec<AlertState>, Problem> {
    let Some(text) = text else { return Ok(AlertState::ACTIVE.to_vec()) };
    let one = |label: &str| {
        AlertState::ACTIVE.into_iter().find(|state| state.label() == label).ok_or_else(|| {
            Problem::bad_request(format!("state: {label:?} is none of pending, firing, inhibited, silenced"))
        })
    };
    text.split(',').map(|label| one(label.trim())).collect()
}
