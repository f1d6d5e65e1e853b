//! The arguments of `check`.

use std::time::Duration;

use clap::{Args, ValueEnum};

use super::super::args::{MeasureArgs, parse_duration};
use super::limits::Limits;

const EXAMPLES: &str = "\
Result:
  CRITICAL  an offset of --critical or more, or a server that says that it is not synchronised or gives unusable times
  WARNING   an offset of --warning or more
  UNKNOWN   nothing was measured: no reply, refused, kiss-o'-death, name not resolved (see --unreachable)
  OK        every server gave a time, and every offset is below --warning
  Further limits add to WARNING and CRITICAL; a value that has a limit and is not known is UNKNOWN.
  With several servers the worst counts, in the order CRITICAL, WARNING, UNKNOWN, OK.

Examples:
  ntp-monitor check -H time.example.net
  ntp-monitor check -w 1ms -c 10ms -n 4 ntp1.example.net ntp2.example.net
  ntp-monitor check --unreachable critical 192.0.2.1
  ntp-monitor check --stratum 3,5 --root-distance 50ms,500ms --leap warning 192.0.2.1
  ntp-monitor check --nts --nts-certificate 14d,2d time.example.net
  ntp-monitor check -n 4 --jitter 5ms,10ms --delay 100ms --reference-age 36h,7d 192.0.2.1";

/// Arguments of `check`.
#[derive(Debug, Clone, Args)]
#[command(about = "Monitoring plugin: exit 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN", after_help = EXAMPLES)]
pub struct CheckArgs {
    /// Offset, in either direction, from which a server is a warning.
    #[arg(short, long, value_name = "TIME", default_value = "25ms", value_parser = parse_duration)]
    pub warning: Duration,
    /// Offset, in either direction, from which a server is critical.
    #[arg(short, long, value_name = "TIME", default_value = "100ms", value_parser = parse_duration)]
    pub critical: Duration,
    /// Stratum from which a server is a warning and, after a comma, critical.
    #[arg(long, value_name = "WARN[,CRIT]", value_parser = Limits::strata)]
    pub stratum: Option<Limits>,
    /// Limits of the root distance: how far from true time the server may be by its own account.
    #[arg(long, value_name = "WARN[,CRIT]", value_parser = Limits::times)]
    pub root_distance: Option<Limits>,
    /// Limits of the round-trip delay.
    #[arg(long, value_name = "WARN[,CRIT]", value_parser = Limits::times)]
    pub delay: Option<Limits>,
    /// Limits of the jitter between the requests; needs at least -n 2.
    #[arg(long, value_name = "WARN[,CRIT]", value_parser = Limits::times)]
    pub jitter: Option<Limits>,
    /// Limits of the time since the server's clock was last set, as the server states it.
    #[arg(long, value_name = "WARN[,CRIT]", value_parser = Limits::times)]
    pub reference_age: Option<Limits>,
    /// Limits of the time that is left of the certificate of the NTS key exchange; needs --nts.
    #[arg(long, value_name = "WARN[,CRIT]", requires = "nts", value_parser = Limits::times_left)]
    pub nts_certificate: Option<Limits>,
    /// What it means when a server announces a leap second.
    #[arg(long, value_name = "STATE", default_value = "ok")]
    pub leap: Announced,
    /// What it means when a server cannot be reached.
    #[arg(long, value_name = "STATE", default_value = "unknown")]
    pub unreachable: Unreachable,
    /// Whom to ask and how.
    #[command(flatten)]
    pub measure: MeasureArgs,
}

/// What an announced leap second means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Announced {
    /// It is mentioned.
    Ok,
    /// To be looked at before it happens.
    Warning,
    /// Right for hosts that must not see one.
    Critical,
}

/// What a server that cannot be reached means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Unreachable {
    /// Nothing was measured, so nothing is known.
    Unknown,
    /// The operator of the server wants to be called.
    Critical,
}
