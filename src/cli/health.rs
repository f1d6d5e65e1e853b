//! `ntp-monitor health`: the health of a running service, for containers, cron and monitoring systems.

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde_json::Value;

use super::args::parse_duration;
use crate::app::beacon::{self, Record, Start};
use crate::config::Inputs;
use crate::outbound::{failure, short};

const EXAMPLES: &str = "\
Finds the service that runs on this host, with the address, TLS and tokens that it really uses. Run it as the user of the
service or as root. Where several services run, --config names one.
Exit status as for monitoring plugins: 0 ok, 1 degraded, 2 failing or not running, 3 unknown.

Examples:
  ntp-monitor health
  ntp-monitor --config servers.toml health --timeout 5s
  ntp-monitor health --accept-degraded || restart-it";

/// Arguments of `health`.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub struct HealthArgs {
    /// How long to wait for the answer.
    #[arg(short, long, value_name = "TIME", default_value = "8s", value_parser = parse_duration)]
    pub timeout: Duration,
    /// Exit with 0 when the service is degraded.
    #[arg(long)]
    pub accept_degraded: bool,
}

/// What a monitoring plugin says.
struct Answer {
    code: u8,
    text: String,
}

impl Answer {
    fn new(code: u8, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }
}

/// Prints one line and returns the exit status.
///
/// # Errors
/// When `out` cannot be written.
pub async fn run(args: &HealthArgs, inputs: &Inputs, out: &mut impl Write) -> io::Result<u8> {
    let answer = match meant(inputs) {
        Ok(record) => ask(&record, args.timeout).await,
        Err(answer) => answer,
    };
    let word = ["OK", "WARNING", "CRITICAL"].get(usize::from(answer.code)).unwrap_or(&"UNKNOWN");
    writeln!(out, "NTP-MONITOR {word} - {}", short(&answer.text))?;
    Ok(if args.accept_degraded && answer.code == 1 { 0 } else { answer.code })
}

/// The one service that the command line and the environment mean.
fn meant(inputs: &Inputs) -> Result<Record, Answer> {
    let start = Start::of(inputs);
    let mut found = beacon::find().map_err(|why| Answer::new(3, format!("cannot look for the service: {why}")))?;
    found.retain(|record| start.means(&record.start));
    match (found.pop(), found.len()) {
        (Some(only), 0) => Ok(only),
        (Some(_), others) => Err(Answer::new(3, format!("{} services run here: name one with --config", others + 1))),
        (None, _) => {
            let which = inputs.file.as_ref().map_or_else(String::new, |file| format!(" with {}", file.display()));
            Err(Answer::new(2, format!("no service{which} runs here as this user")))
        }
    }
}

async fn ask(record: &Record, timeout: Duration) -> Answer {
    // The service is on this host and its address comes from itself. Its certificate is for the names that others use.
    let mut client = reqwest::Client::builder().http1_only().no_proxy().timeout(timeout);
    client = client.danger_accept_invalid_certs(true);
    if let Some(name) = &record.unix {
        client =
            client.unix_socket(PathBuf::from(name.strip_prefix('@').map_or(name.clone(), |name| format!("\0{name}"))));
    }
    let request = client.build().map(|client| client.get(format!("{}/health", record.url)).bearer_auth(&record.token));
    let response = match request {
        Ok(request) => request.send().await,
        Err(why) => return Answer::new(3, failure(why)),
    };
    let status = match &response {
        Ok(response) => response.status(),
        Err(_) => reqwest::StatusCode::SERVICE_UNAVAILABLE,
    };
    let report = match response {
        Ok(response) => response.json::<Value>().await,
        Err(why) => Err(why),
    };
    match report {
        Ok(report) => judge(&report, status.as_u16()),
        Err(why) => Answer::new(2, format!("no answer: {}", failure(why))),
    }
}

fn judge(report: &Value, status: u16) -> Answer {
    let text = |value: &Value, otherwise: &str| value.as_str().unwrap_or(otherwise).to_owned();
    let reason = |otherwise| text(&report["reasons"][0]["reason"], otherwise);
    match report["status"].as_str() {
        Some("ok") => Answer::new(0, format!("version {}", text(&report["version"], "unknown"))),
        Some("degraded") => Answer::new(1, reason("degraded")),
        Some("failing") => Answer::new(2, reason("failing")),
        _ => Answer::new(3, format!("the service answered {status}: {}", text(&report["detail"], "no health report"))),
    }
}
