//! Checks the connection to NATS: whether it accepts this instance, its release, and the rights of this instance.

use std::time::Duration;

use bytes::Bytes;

use super::finding::{Area, Finding};
use crate::config::{Config, Fleet, Login};
use crate::fleet::NO_JETSTREAM;
use crate::fleet::link::{Link, LinkError, Names};

const AREA: Area = Area("fleet");
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
const ADVICE: &str = "nats-server --version and its log say more; docs/FLEET.md lists what is needed";

pub(super) async fn examine(config: &Config, offline: bool) -> Vec<Finding> {
    let Some(fleet) = &config.fleet else { return Vec::new() };
    if offline {
        return vec![AREA.note("nats", "not asked")];
    }
    let mut findings = Vec::new();
    match Link::connect(&fleet.nats, &fleet.name).await {
        Err(why) => findings.push(AREA.problem("nats", why.to_string(), advice(&why))),
        Ok(link) => {
            let info = link.client.server_info();
            let what = format!("connected to {} {} as {}", info.server_name, info.version, fleet.name);
            findings.push(AREA.ok("nats", what));
            if fleet.role.is_hub() {
                findings.push(as_hub(&link).await);
            }
            if fleet.role.is_agent() {
                findings.push(as_agent(&link, fleet).await);
            }
        }
    }
    if !fleet.nats.requires_tls() && matches!(fleet.nats.login, Login::User { .. }) {
        let what = "the password is sent over the network in clear text";
        findings
            .push(AREA.note("tls", what).advising("use a tls:// URL, unless the server is on this host".to_owned()));
    }
    findings
}

/// A command that helps with some failures.
fn advice(why: &LinkError) -> &'static str {
    if why.0.contains("this host's clock") {
        "compare this host's clock: ntp-monitor query SERVER"
    } else if why.0.contains("lacks a right") || why.0.contains("rejects the user") {
        "ntp-monitor fleet nats-conf --hub HUB --vantage NAME …, then nats-server --signal reload"
    } else {
        ADVICE
    }
}

async fn as_hub(link: &Link) -> Finding {
    let stream = link.names.stream();
    match tokio::time::timeout(ANSWER_WITHIN, link.jetstream.get_stream(&stream)).await {
        Ok(Ok(found)) => {
            let state = &found.cached_info().state;
            AREA.ok("stream", format!("{stream} has {} messages in {} bytes", state.messages, state.bytes))
        }
        Ok(Err(why)) if why.to_string().contains("not found") => {
            AREA.note("stream", format!("{stream} does not exist yet; the service creates it"))
        }
        Ok(Err(why)) => {
            let fault = link.fault(&format!("open the stream {stream}"), &why);
            AREA.problem("stream", fault.to_string(), advice(&fault))
        }
        Err(_) => AREA.problem("stream", NO_JETSTREAM.to_owned(), ADVICE),
    }
}

async fn as_agent(link: &Link, fleet: &Fleet) -> Finding {
    let subject = Names::get(&link.names.plans(), &fleet.name);
    match tokio::time::timeout(ANSWER_WITHIN, link.client.request(subject, Bytes::new())).await {
        Ok(Ok(message)) if message.status.is_none() => AREA.ok("plan", "a hub has written a plan for this vantage"),
        Ok(Ok(_)) => AREA.note("plan", "no hub has written a plan for this vantage yet"),
        Ok(Err(why)) => {
            let fault = link.fault("read the plan", &why);
            AREA.problem("plan", fault.to_string(), advice(&fault))
        }
        Err(_) => AREA.problem("plan", "no answer in time".to_owned(), ADVICE),
    }
}
