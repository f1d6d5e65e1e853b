//! `ntp-monitor health`: the health of a running service, for containers, cron and monitoring systems.

use std::io::{self, Write};
use std::time::Duration;

use clap::Args;
use serde_json::Value;

use super::args::parse_positive;
use super::running;
use crate::app::beacon::Record;
use crate::config::Inputs;
use crate::outbound::short;

const EXAMPLES: &str = "\
Finds the running service on this host, with the address, TLS and tokens that it actually uses. Run it as root or as \
the user of the service. If several services run, select one with --config.
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
    #[arg(short, long, value_name = "TIME", default_value = "8s", value_parser = parse_positive)]
    pub timeout: Duration,
    /// Exit with 0 when the service is degraded.
    #[arg(long)]
    pub accept_degraded: bool,
}

/// Text and exit status in the format of a monitoring plugin.
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
    let answer = match running::meant(inputs) {
        Ok(Some(record)) => ask(&record, args.timeout).await,
        Ok(None) => {
            let which = inputs.file.as_ref().map_or_else(String::new, |file| format!(" with {}", file.display()));
            Answer::new(2, format!("no service{which} runs here as this user"))
        }
        Err(why) => Answer::new(3, why),
    };
    let word = ["OK", "WARNING", "CRITICAL"].get(usize::from(answer.code)).unwrap_or(&"UNKNOWN");
    writeln!(out, "NTP-MONITOR {word} - {}", short(&answer.text))?;
    Ok(if args.accept_degraded && answer.code == 1 { 0 } else { answer.code })
}

async fn ask(record: &Record, timeout: Duration) -> Answer {
    match running::get(record, "/health", timeout).await {
        Ok((status, report)) => judge(&report, status),
        Err(why) => Answer::new(2, why),
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
