//! Checks the running service: whether it answers at the configured address, its release, and its health.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use serde_json::Value;

use super::finding::{Area, Finding};
use crate::config::Config;

const AREA: Area = Area("service");
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
const MAX_REASONS: usize = 5;
const VERSION: &str = env!("CARGO_PKG_VERSION");

pub(super) async fn examine(config: &Config) -> Vec<Finding> {
    let address = reachable(config.http.listen);
    let name = address.to_string();
    // The certificate has the name that others use. This check only needs a response.
    let builder = reqwest::Client::builder().danger_accept_invalid_certs(true);
    let scheme = if config.http.tls.is_some() { "https" } else { "http" };
    let answer = match builder.no_proxy().timeout(ANSWER_WITHIN).build() {
        Ok(client) => client.get(format!("{scheme}://{address}/health")).send().await,
        Err(why) => return vec![AREA.problem(name, why.to_string(), "report this")],
    };
    match answer {
        Err(why) if why.is_connect() => {
            vec![AREA.note(name, "nothing listens: the service does not run").advising("systemctl start ntp-monitor")]
        }
        Err(why) => {
            let what = format!("a process listens but does not answer: {}", why.without_url());
            vec![AREA.problem(name, what, "find out which process it is: `ss -ltnp`")]
        }
        Ok(answer) if answer.status().as_u16() == 401 => vec![AREA.ok(name, "answers, and requires a token")],
        Ok(answer) => {
            let status = answer.status().as_u16();
            judge(&name, status, answer.json().await.ok().as_ref())
        }
    }
}

/// A service that listens on all addresses is contacted on loopback.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

fn judge(name: &str, status: u16, health: Option<&Value>) -> Vec<Finding> {
    let text = |key: &str| health.and_then(|health| health[key].as_str());
    let (Some(state), Some(version)) = (text("status"), text("version")) else {
        let what = format!("answers {status}, but is not ntp-monitor");
        return vec![AREA.problem(name, what, "find out which process it is (`ss -ltnp`), or set another http.listen")];
    };
    let what = format!("release {version} runs, health {state}");
    let mut findings = vec![match state {
        "ok" => AREA.ok(name, what),
        "failing" => AREA.problem(name, what, "see the reasons below"),
        _ => AREA.warning(name, what, "see the reasons below"),
    }];
    if version != VERSION {
        let what = format!("this program is release {VERSION}");
        findings.push(AREA.warning("release", what, "restart the service to run the installed release"));
    }
    let reasons = health.and_then(|health| health["reasons"].as_array()).into_iter().flatten().take(MAX_REASONS);
    findings.extend(reasons.map(|reason| {
        let part = |key: &str| reason[key].as_str().unwrap_or_default();
        AREA.note(format!("{} {}", part("about"), part("name")), part("reason"))
    }));
    findings
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::doctor::Level;

    #[test]
    fn a_foreign_old_or_failing_service_is_recognised() {
        let level = |health: Value| judge("x", 200, Some(&health)).iter().map(|f| f.level).max();
        assert_eq!(level(json!({ "hello": "world" })), Some(Level::Problem));
        assert_eq!(level(json!({ "status": "ok", "version": VERSION, "reasons": [] })), Some(Level::Ok));
        assert_eq!(level(json!({ "status": "ok", "version": "0.0.1", "reasons": [] })), Some(Level::Warning));
        let sick = json!({ "status": "failing", "version": VERSION,
            "reasons": [{ "about": "sink", "name": "store", "reason": "disk full" }] });
        let found = judge("x", 503, Some(&sick));
        assert_eq!((found[0].level, found[1].what.as_str()), (Level::Problem, "disk full"));
    }

    #[test]
    fn a_wildcard_listener_is_asked_on_loopback() {
        assert_eq!(reachable("0.0.0.0:80".parse().unwrap()), "127.0.0.1:80".parse().unwrap());
        assert_eq!(reachable("[::]:80".parse().unwrap()), "[::1]:80".parse().unwrap());
        assert_eq!(reachable("192.0.2.1:80".parse().unwrap()), "192.0.2.1:80".parse().unwrap());
    }
}
