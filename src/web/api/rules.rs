//! Alert rules: list, check and replay over the past.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, web};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::config::{Config, rule_of_json};
use crate::store::StoreError;
use crate::web::State;
use crate::web::openapi::{Body, Endpoint, Vantages};
use crate::web::problem::Problem;
use crate::web::respond;
use ntp_monitor_core::alert::replay::{AlertReplay, trial_of};
use ntp_monitor_core::alert::rule::Rule;
use ntp_monitor_core::alert::status::{Past, RuleStatus};
use ntp_monitor_core::alert::variables::{Kind, Of, VARIABLES};
use ntp_monitor_core::clock::Stamp;
use ntp_monitor_core::sample::Sample;
use ntp_monitor_core::stats::analysis::Analysis;
use ntp_monitor_core::stats::intake::TimeAxis;
use ntp_monitor_core::stats::verdict::When;
use ntp_monitor_core::stats::window::Window;

pub const ENDPOINTS: &[Endpoint] = &[
    Endpoint::get("/api/v1/rules", || web::to(list))
        .about("The alert rules with their states, and the variables that rules can use.")
        .of(Vantages::Own)
        .giving(Body::json::<Rules>("rules and variables."))
        .or(&[304]),
    Endpoint::post("/api/v1/rules/check", || web::to(check))
        .only_asking()
        .about("Checks whether a rule is valid. Changes nothing.")
        .wanting(Body::json::<Tried>("rule: the keys of [[alert]]."))
        .giving(Body::json::<Checked>("valid, and the faults with their keys."))
        .or(&[400]),
    Endpoint::post("/api/v1/rules/replay", || web::to(replay))
        .only_asking()
        .about(
            "Lists the alerts that a rule would have raised over the stored samples. Changes nothing and sends no \
             notifications.",
        )
        .wanting(Body::json::<ToReplay>("rule: the keys of [[alert]]; since: how far back, such as 7d."))
        .giving(Body::json::<Replayed>(
            "alerts that would have fired; complete says whether the whole span was evaluated.",
        ))
        .or(&[400, 422, 429, 503]),
];

/// The longest span of a replay.
const LONGEST: Duration = Duration::from_secs(31 * 86_400);
/// A replay stops after this much work and returns what it has found.
const WORK_WITHIN: Duration = Duration::from_secs(20);
/// A replay stops after this many samples.
const MOST_SAMPLES: u64 = 2_000_000;

#[derive(Debug, Serialize, JsonSchema)]
struct Rules {
    rules: Vec<RuleStatus>,
    variables: Vec<Described>,
}

/// A variable that rules can use.
#[derive(Debug, Serialize, JsonSchema)]
struct Described {
    name: &'static str,
    r#type: Kind,
    unit: &'static str,
    of: Of,
    help: &'static str,
}

/// `GET /api/v1/rules`.
pub async fn list(request: HttpRequest, state: web::Data<State>) -> Result<HttpResponse, Problem> {
    let rules = state.alerts.borrow().rules.clone();
    let described = |it: &ntp_monitor_core::alert::variables::Variable| Described {
        name: it.name,
        r#type: it.kind(),
        unit: it.unit,
        of: it.of,
        help: it.help,
    };
    respond::json(&request, &Rules { rules, variables: VARIABLES.iter().map(described).collect() })
}

/// A rule to check.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tried {
    /// The keys of `[[alert]]`.
    rule: Value,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Checked {
    valid: bool,
    faults: Vec<KeyFault>,
}

/// An error in one key.
#[derive(Debug, Serialize, JsonSchema)]
struct KeyFault {
    /// The path of the key; empty when the error concerns the whole rule.
    path: String,
    message: String,
}

/// `POST /api/v1/rules/check`.
pub async fn check(tried: web::Json<Tried>) -> HttpResponse {
    let faults: Vec<KeyFault> = match rule_of_json(&tried.rule) {
        Ok(_) => Vec::new(),
        Err(faults) => faults.into_iter().map(|(path, message)| KeyFault { path, message }).collect(),
    };
    HttpResponse::Ok().insert_header(("Cache-Control", "no-store")).json(Checked { valid: faults.is_empty(), faults })
}

/// A rule to replay.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ToReplay {
    /// The keys of `[[alert]]`.
    rule: Value,
    /// How far back; the default is `7d`.
    since: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Replayed {
    /// Alerts that would have fired, in order of time.
    alerts: Vec<Past>,
    /// How many messages would have been sent.
    notifications: usize,
    /// Samples that were read.
    samples: u64,
    from: When,
    to: When,
    /// Whether the replay covered the whole span; `false` when it reached a limit.
    complete: bool,
}

/// `POST /api/v1/rules/replay`.
pub async fn replay(state: web::Data<State>, tried: web::Json<ToReplay>) -> Result<HttpResponse, Problem> {
    let rule = rule_of_json(&tried.rule).map_err(|faults| {
        let faults: Vec<String> = faults.iter().map(|(key, message)| format!("{key}: {message}")).collect();
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, faults.join("; "))
    })?;
    let since = tried.since.as_deref().unwrap_or("7d");
    let span = humantime::parse_duration(since).ok().filter(|span| !span.is_zero() && *span <= LONGEST);
    let span = span.ok_or_else(|| {
        Problem::bad_request(format!("since: {since:?} is not a span such as \"7d\", or is longer than 31 days"))
    })?;
    let admission = Admission::take().ok_or_else(|| {
        Problem::new(StatusCode::TOO_MANY_REQUESTS, "another rule is being replayed: try again in a moment")
    })?;
    let to_ns = state.clock.now().wall_ns;
    let from_ns = to_ns.saturating_sub(i64::try_from(span.as_nanos()).unwrap_or(i64::MAX));
    let config = state.config.borrow().clone();
    let waiting = Waiting::default();
    let is_over = Arc::clone(&waiting.is_over);
    let replayed = state.store.read(move |reader| {
        let _admission = admission;
        let samples = reader.since_here(from_ns).map(|stored| stored.map(|stored| stored.sample));
        work(samples, rule, &config, from_ns..to_ns, &is_over)
    });
    Ok(HttpResponse::Ok().insert_header(("Cache-Control", "no-store")).json(replayed.await?))
}

fn work(
    stored: impl Iterator<Item = Result<Sample, StoreError>>,
    rule: Rule,
    config: &Config,
    span_ns: Range<i64>,
    is_over: &AtomicBool,
) -> Result<Replayed, StoreError> {
    let name = rule.spec.name.clone();
    let mut alerts = AlertReplay::new(trial_of(rule, &config.alerting));
    let mut analysis = Analysis::new(Window::Hour, TimeAxis::Wall);
    let begin = Instant::now();
    let (mut samples, mut notifications, mut complete) = (0, 0, true);
    for sample in stored {
        let sample = Arc::new(tagged(sample?, config));
        let at_ns = sample.at.wall_ns;
        if at_ns >= span_ns.end {
            break;
        }
        samples += 1;
        analysis.observe(&sample);
        alerts.observe(&sample);
        if alerts.is_due(at_ns) {
            alerts.look(at_ns, &analysis.snapshot(Stamp::new(at_ns, at_ns, 0)));
            notifications += alerts.take_notifications().iter().filter(|it| it.alert == name).count();
        }
        if samples >= MOST_SAMPLES || begin.elapsed() > WORK_WITHIN || is_over.load(Ordering::Relaxed) {
            complete = false;
            break;
        }
    }
    let alerts = alerts.finish().of(&name).alerts;
    Ok(Replayed { alerts, notifications, samples, from: When(span_ns.start), to: When(span_ns.end), complete })
}

/// Adds the tags, which the store does not keep, because rules can select by them.
fn tagged(sample: Sample, config: &Config) -> Sample {
    match config.servers.iter().find(|server| server.ident.name == sample.server.name) {
        Some(server) => Sample { server: Arc::clone(&server.ident), ..sample },
        None => sample,
    }
}

/// A request that waits for its replay. Dropping it (the service stops, the connection is reset, the HTTP/2 stream is
/// cancelled) ends the replay early.
#[derive(Default)]
struct Waiting {
    is_over: Arc<AtomicBool>,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

/// Admits one replay at a time, because a replay uses a core.
struct Admission;

static IS_TAKEN: AtomicBool = AtomicBool::new(false);

impl Admission {
    fn take() -> Option<Self> {
        (!IS_TAKEN.swap(true, Ordering::AcqRel)).then_some(Self)
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        IS_TAKEN.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::testing;
    use ntp_monitor_core::health::report::Health;
    use ntp_monitor_core::world::World;

    #[actix_rt::test]
    async fn a_replay_ends_when_its_caller_left() {
        let (state, _dir) = testing::state(Health::default());
        let config = state.config.borrow().clone();
        let waiting = Waiting::default();
        let is_over = Arc::clone(&waiting.is_over);
        let world = World::ordinary(1, 1, 64.0, 64_000.0);
        let replay = || {
            let rule = rule_of_json(&serde_json::json!({ "name": "a", "expr": "offset_ms > 1" })).unwrap();
            work(world.samples().take(100).map(Ok), rule, &config, 0..i64::MAX, &is_over).unwrap()
        };
        let whole = replay();
        assert_eq!((whole.samples, whole.complete), (100, true));
        drop(waiting);
        let cut = replay();
        assert_eq!((cut.samples, cut.complete), (1, false));
    }
}
