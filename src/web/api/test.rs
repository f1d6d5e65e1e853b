//! Endpoints that help to choose servers: the servers that this host already knows, and a single request to a server
//! that is not configured yet.

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpRequest, HttpResponse, web};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::points::Poll;
use crate::actors::ledger::NotNow;
use crate::config::{EngineChoice, Family, Host, NTP_PORT, Role, split_address};
use crate::local::{KnownServer, known_servers};
use crate::probe::poll::GRACE;
use crate::probe::resolve::{Address, Resolve};
use crate::probe::{Engines, ProbeEngine, ProbeReport, Query};
use crate::web::openapi::{Body, Endpoint};
use crate::web::problem::Problem;
use crate::web::{State, audit};
use ntp_monitor_core::clock::Stamp;
use ntp_monitor_core::sample::{Outcome, Sample, ServerIdent};

pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint::get("/api/v1/known-servers", || web::to(known))
        .about("The servers that the time daemon and DHCP of this host use, as suggestions.")
        .role(Role::Admin)
        .giving(Body::json::<Known>("servers: address, file.")),
    Endpoint::post("/api/v1/test", || web::to(test))
        .about(
            "Sends one request to any server, configured or not, and returns the measurement. The same address can be \
             tested every 16 s: a 429 response says how long to wait.",
        )
        .role(Role::Admin)
        .wanting(Body::json::<Wanted>("address."))
        .giving(Body::json::<ServerTest>("address, others, poll: the result, as in the list of samples."))
        .or(&[422, 429]),
];

/// A server that takes longer to reply is of no use.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Measures servers that are not configured.
#[derive(Clone)]
pub struct Tester {
    engine: Arc<dyn ProbeEngine>,
    resolver: Arc<dyn Resolve>,
}

#[derive(JsonSchema, Serialize)]
struct Known {
    /// Those in use first.
    servers: Vec<KnownServer>,
}

#[derive(JsonSchema, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// As in a `[[server]]`: a name or an address, with a port when it is not 123.
    address: String,
}

#[derive(JsonSchema, Serialize)]
struct ServerTest {
    /// The address that was asked; `null` when the name does not resolve.
    address: Option<String>,
    /// How many other addresses the name has.
    others: usize,
    poll: Poll,
}

impl Tester {
    #[must_use]
    pub fn new(engines: &Engines, resolver: Arc<dyn Resolve>) -> Self {
        Self { engine: engines.choose(EngineChoice::Kernel), resolver }
    }

    async fn addresses(&self, host: &Host) -> Result<Vec<Address>, Outcome> {
        let name = match host {
            Host::Address(ip) => ip.to_string(),
            Host::Name(name) => name.to_string(),
        };
        let resolution = self.resolver.resolve(&name, Family::Any).await;
        resolution.map(|found| found.addresses).map_err(|why| Outcome::Dns(why.to_string().into()))
    }

    async fn ask(&self, query: Query, now: Stamp) -> ProbeReport {
        let hung = || Outcome::Fault("the probe engine missed its deadline".into());
        let report = tokio::time::timeout(query.timeout + GRACE, self.engine.probe(query)).await;
        report.unwrap_or_else(|_| ProbeReport::failed(now, hung()))
    }
}

async fn known() -> Result<HttpResponse, Problem> {
    let read = web::block(known_servers).await;
    let servers = read.map_err(|_| Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the service is stopping"))?;
    Ok(HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(Known { servers }))
}

async fn test(
    request: HttpRequest,
    state: web::Data<State>,
    wanted: web::Json<Wanted>,
) -> Result<HttpResponse, Problem> {
    let text = wanted.into_inner().address;
    let refused = |why: String| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, why);
    let (host, port) = split_address(text.trim()).map_err(refused)?;
    audit::about(&request, format!("test of {}", text.trim()));
    let (tester, now) = (&state.tester, state.clock.now());
    let (address, others, report) = match tester.addresses(&host).await {
        Err(outcome) => (None, 0, ProbeReport::failed(now, outcome)),
        Ok(addresses) => {
            let address = addresses[0].at(port.unwrap_or(NTP_PORT));
            state.ledger.reserve(address, state.clock.now().mono_ns).map_err(|why| too_soon(&why))?;
            (Some(address), addresses.len() - 1, tester.ask(Query::plain(address, TIMEOUT), now).await)
        }
    };
    let sample = Sample {
        address,
        reply: report.reply,
        measure: report.measure,
        timestamping: report.timestamping,
        mode: report.mode,
        ..Sample::unasked(report.at, ServerIdent::named(text.trim()), report.outcome, 0.0)
    };
    let tested = ServerTest { address: address.map(|address| address.to_string()), others, poll: Poll::of(&sample) };
    Ok(HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(tested))
}

fn too_soon(why: &NotNow) -> Problem {
    let NotNow::TooSoon(wait) = why else { return Problem::new(StatusCode::CONFLICT, "this address cannot be tested") };
    let detail = format!("this address was tested a moment ago: try again in {:.0} s", wait.as_secs_f64().ceil());
    Problem::new(StatusCode::TOO_MANY_REQUESTS, detail).retry_after(*wait)
}
