//! Checks the outputs other than the store: whether the database answers.

use std::time::Duration;

use super::finding::{Area, Finding};
use crate::config::{Config, Influx};
use crate::outbound;
use crate::sinks::influx::InfluxClient;

const AREA: Area = Area("outputs");
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

pub(super) async fn examine(config: &Config, offline: bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(influx) = &config.influxdb {
        findings.push(match InfluxClient::new(influx) {
            Err(why) => AREA.problem("influxdb", why.to_string(), "correct [influxdb]"),
            Ok(_) if offline => AREA.note("influxdb", "not asked"),
            Ok(client) => may_write(influx, &client).await,
        });
    }
    let speaks_tls = config.influxdb.as_ref().is_some_and(|influx| influx.url.starts_with("https"));
    if (speaks_tls || !config.notifiers.is_empty()) && outbound::trust::system_bundle().is_none() {
        let what = "this system has no file of trusted certificates, so TLS reaches only what a ca_file covers";
        findings.push(AREA.problem("certificates", what, "apt-get install ca-certificates, or set SSL_CERT_FILE"));
    }
    if let Some(csv) = &config.csv {
        findings.push(AREA.ok("csv", format!("in {}", csv.dir.display())));
    }
    // Whether a notification arrives can only be tested by sending one.
    findings.extend(config.notifiers.iter().map(|notifier| {
        AREA.note(&*notifier.name, "configured").advising(format!("ntp-monitor notify test {}", notifier.name))
    }));
    findings
}

/// Asks for the status without writing data.
async fn may_write(influx: &Influx, client: &InfluxClient) -> Finding {
    let Influx { url, org, bucket, .. } = influx;
    let answer = tokio::time::timeout(ANSWER_WITHIN, client.may_write()).await;
    let advice = "start it, or correct [influxdb]; meanwhile points are queued in the store and sent later";
    match answer {
        Ok(Ok(())) => AREA.ok("influxdb", format!("{url} accepts writes to bucket {bucket} of {org}")),
        Ok(Err(why)) => AREA.problem("influxdb", format!("{url}: {why}"), advice),
        Err(_) => AREA.problem("influxdb", format!("{url} does not answer"), advice),
    }
}
