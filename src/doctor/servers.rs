//! Checks that the name of every configured server resolves and that the server gives the time. A recent sample in the
//! store is enough; only servers without one get a request, and only one.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use jiff::Timestamp;

use super::agreement::{Look, weigh};
use super::finding::{Area, Finding};
use super::{Examination, Level};
use crate::clock::SystemClock;
use crate::config::{Config, Host, Server};
use crate::probe::{NtsTools, ProbeSession};
use crate::store::read::Reader;
use ntp_monitor_core::clock::Stamp;
use ntp_monitor_core::conclusion::Claim;
use ntp_monitor_core::ntp::KissCode;
use ntp_monitor_core::nts::{Certificate, Expiry, Status};
use ntp_monitor_core::sample::{Measure, Outcome, Sample};

const AREA: Area = Area("servers");
/// Maximum number of servers that are asked at the same time; more replies would have to queue.
const AT_ONCE: usize = 8;
/// Maximum number of servers that are listed; the page of the service shows all.
const MAX_ASKED: usize = 64;
/// A sample is recent if it is younger than this many poll intervals.
const FRESH_INTERVALS: u32 = 3;
/// A server that denied service gets no request for this time, as in the service.
const DENIAL: Duration = Duration::from_secs(3600);
/// An engine may exceed its time-out by this.
const GRACE: Duration = Duration::from_secs(2);

pub(super) async fn examine(examination: &Examination, config: &Config) -> Vec<Finding> {
    let seen = if examination.refused.is_none() { seen(config) } else { HashMap::new() };
    let looks =
        config.servers.iter().take(MAX_ASKED).map(|server| look(examination, server, seen.get(&*server.ident.name)));
    let mut findings = weigh(stream::iter(looks).buffered(AT_ONCE).collect().await);
    if let Some(more) = config.servers.len().checked_sub(MAX_ASKED).filter(|more| *more > 0) {
        findings.push(AREA.note("others", format!("{more} more were not checked")).advising("ask /api/v1/servers"));
    }
    if config.servers.len() < 4 {
        let count = config.servers.len();
        findings.push(AREA.note("number", format!("{count}: too few to tell which is wrong")).advising(
            "configure at least three so that a wrong one is outvoted, better four in case one does not answer; choose independent ones",
        ));
    }
    findings
}

/// The last sample of each server, if the store can be read.
fn seen(config: &Config) -> HashMap<String, Sample> {
    let latest = Reader::open(&config.store.path).and_then(|reader| reader.latest_here()).unwrap_or_default();
    let mut seen: HashMap<String, Sample> = HashMap::new();
    for sample in latest.into_iter().map(|stored| stored.sample) {
        let name = sample.server.name.to_string();
        if seen.get(&name).is_none_or(|other| other.at.wall_ns < sample.at.wall_ns) {
            seen.insert(name, sample);
        }
    }
    seen
}

async fn look(examination: &Examination, server: &Server, seen: Option<&Sample>) -> Look {
    let name = &*server.ident.name;
    if server.paused {
        return AREA.note(name, "paused, so not asked").into();
    }
    if let Some((sample, age)) = seen.and_then(|sample| Some((sample, fresh(sample, server, crate::clock::now())?))) {
        let when = format!(", asked {} s ago by the service", age.as_secs());
        return judge(name, &sample.outcome, sample.measure, &when);
    }
    if examination.offline {
        return AREA.note(name, "not asked").into();
    }
    let address = match &server.host {
        Host::Address(ip) => SocketAddr::new(*ip, server.port),
        Host::Name(host) => match examination.resolver.resolve(host, server.family).await {
            Ok(found) => found.addresses[0].at(server.port),
            Err(why) => {
                return AREA
                    .problem(name, why.to_string(), "check /etc/resolv.conf and the spelling of the name")
                    .into();
            }
        },
    };
    let tools =
        NtsTools { resolver: Arc::clone(&examination.resolver), trust: Arc::default(), clock: Arc::new(SystemClock) };
    let session = ProbeSession::of(server, address, &tools);
    session.prepare().await;
    let query = match session.query(server.timeout) {
        Ok(query) => query,
        Err(why) => return AREA.problem(name, why.reason(), "see docs/NTS.md").into(),
    };
    let asked = examination.engines.choose(server.engine).probe(query);
    let Ok(report) = tokio::time::timeout(server.timeout + GRACE, asked).await else {
        return AREA.problem(name, "the probe engine missed its deadline", "report this").into();
    };
    let stamped = report.timestamping.map_or("", |stamps| stamps.label());
    let mut look = judge(name, &report.outcome, report.measure, &format!(", {address} {stamped}"));
    if let Some(certificate) = session.nts().as_ref().and_then(Status::certificate) {
        add_certificate(&mut look, certificate);
    }
    look
}

fn add_certificate(look: &mut Look, certificate: &Certificate) {
    let now = Timestamp::now();
    let days = certificate.left_s(now) / 86_400.0;
    look.finding.what.push_str(&format!(", NTS, certificate of {} for {days:.0} more days", certificate.issuer));
    if look.finding.level == Level::Ok && certificate.expiry(now) != Expiry::Far {
        look.finding = AREA.warning(look.finding.subject.clone(), look.finding.what.clone(), "renew the certificate");
    }
}

/// The age of a sample, if it is recent enough to be used.
fn fresh(sample: &Sample, server: &Server, now: Stamp) -> Option<Duration> {
    let age = Duration::from_nanos(u64::try_from(now.wall_ns - sample.at.wall_ns).ok()?);
    let interval = server.poll_interval.max(Duration::try_from_secs_f64(sample.poll_s).unwrap_or_default());
    let is_denial = matches!(sample.outcome, Outcome::Kiss(code) if code.is_denial());
    let held = if is_denial { DENIAL } else { Server::FLOOR };
    (age < (interval * FRESH_INTERVALS).max(held)).then_some(age)
}

fn judge(name: &str, outcome: &Outcome, measure: Option<Measure>, how: &str) -> Look {
    let reason = outcome.reason();
    let colon = if reason.is_empty() { "" } else { ": " };
    let numbers = measure.map_or_else(String::new, |Measure { offset_s, delay_s, .. }| {
        format!(", offset {:+.3} ms, delay {:.3} ms", offset_s * 1e3, delay_s * 1e3)
    });
    let meaning = match outcome {
        Outcome::Kiss(code) => format!(", {}", code.meaning()),
        _ => String::new(),
    };
    let what = format!("{}{colon}{reason}{meaning}{numbers}{how}", outcome.label());
    let finding = match advice(outcome) {
        None => AREA.ok(name, what),
        Some((Level::Warning, advice)) => AREA.warning(name, what, advice),
        Some((_, advice)) => AREA.problem(name, what, advice),
    };
    let claim = measure.map(|measure| Claim {
        server: name.to_owned(),
        offset_s: measure.offset_s,
        bound_s: measure.root_distance_s,
    });
    Look { finding, claim }
}

fn advice(outcome: &Outcome) -> Option<(Level, &'static str)> {
    Some(match outcome {
        Outcome::Sample => return None,
        Outcome::Timeout => (
            Level::Problem,
            "a firewall on the way may drop UDP port 123 (there or back), or the server is down: try \
             `ntp-monitor query` from another host",
        ),
        Outcome::Refused => (Level::Problem, "nothing listens there: check address and port, and start the server"),
        Outcome::Kiss(code) => (Level::Warning, advice_on_kiss(*code)),
        Outcome::Rejected(_) => {
            (Level::Problem, "the reply failed a check: see the rejected replies on the server's page or in the API")
        }
        Outcome::Unsynchronised(_) => (Level::Problem, "the server is not synchronised: check its own time sources"),
        Outcome::Dns(_) => (Level::Problem, "check /etc/resolv.conf and the spelling of the name"),
        Outcome::Fault(_) => (Level::Problem, "this host cannot send: check its routes, and whether it has IPv6"),
    })
}

/// What to do about a kiss-o'-death. [`KissCode::meaning`] says what the code means.
fn advice_on_kiss(code: KissCode) -> &'static str {
    if code == KissCode::RATE {
        "increase poll_interval, or use another server"
    } else if code.is_denial() {
        "use another server, or ask its operator"
    } else {
        "the next poll gets new cookies: see docs/NTS.md if it happens again"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn denial_is_not_taken_for_a_rate_limit() {
        for code in [KissCode::DENY, KissCode::RSTR] {
            let finding = judge("a", &Outcome::Kiss(code), None, "").finding;
            let what = format!("kiss: {code}, the server refuses to serve this host (kiss code {code})");
            assert_eq!((finding.level, finding.what), (Level::Warning, what));
            assert_eq!(advice_on_kiss(code), "use another server, or ask its operator");
        }
        assert!(advice_on_kiss(KissCode::RATE).contains("poll_interval"));
    }

    #[test]
    fn each_failure_has_its_own_advice_and_success_none() {
        assert_eq!(advice(&Outcome::Sample), None);
        let ways = [Outcome::Timeout, Outcome::Refused, Outcome::Unsynchronised(None), Outcome::Fault("x".into())];
        let texts: std::collections::BTreeSet<_> = ways.iter().filter_map(advice).map(|(_, text)| text).collect();
        assert_eq!(texts.len(), ways.len());
        let found = judge("a", &Outcome::Fault("no route".into()), None, ", 192.0.2.1:123 ").finding;
        assert_eq!((found.level, found.what.trim_end()), (Level::Problem, "fault: no route, 192.0.2.1:123"));
    }
}
