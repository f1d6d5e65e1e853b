//! The arguments of `check`.

use std::time::Duration;

use clap::{Args, ValueEnum};

use super::super::args::{MeasureArgs, parse_positive};
use super::limits::Limits;

const EXAMPLES: &str = "\
Result:
  CRITICAL  an offset of --critical or more, or a server that reports that it is not synchronised
            or gives unusable times
  WARNING   an offset of --warning or more
  UNKNOWN   nothing was measured: no reply, refused, kiss-o'-death, name not resolved
            (see --unreachable)
  OK        every server gave a time, and every offset is below --warning
Further limits add to WARNING and CRITICAL; an unknown value that has a limit is UNKNOWN.
With several servers the worst result counts, in the order CRITICAL, WARNING, UNKNOWN, OK.

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
    /// Offset, in either direction, from which the result is WARNING.
    #[arg(short, long, value_name = "TIME", default_value = "25ms", value_parser = parse_positive)]
    pub warning: Duration,
    /// Offset, in either direction, from which the result is CRITICAL.
    #[arg(short, long, value_name = "TIME", default_value = "100ms", value_parser = parse_positive)]
    pub critical: Duration,
    /// Stratum from which the result is WARNING and, after a comma, CRITICAL.
    #[arg(long, value_name = "WARN[,CRIT]", value_parser = Limits::strata)]
    pub stratum: Option<Limits>,
    /// Limits of the root distance: how far the server's clock may be from true time, as the server states it.
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
    /// Limits of the remaining lifetime of the NTS key-exchange certificate; needs --nts.
    #[arg(long, value_name = "WARN[,CRIT]", requires = "nts", value_parser = Limits::times_left)]
    pub nts_certificate: Option<Limits>,
    /// The result when a server announces a leap second.
    #[arg(long, value_name = "STATE", default_value = "ok")]
    pub leap: Announced,
    /// The result when a server cannot be reached.
    #[arg(long, value_name = "STATE", default_value = "unknown")]
    pub unreachable: Unreachable,
    /// Whom to ask and how.
    #[command(flatten)]
    pub measure: MeasureArgs,
}

/// What an announced leap second means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Announced {
    /// The leap second is only mentioned in the output.
    Ok,
    /// Somebody should look at it before it happens.
    Warning,
    /// For hosts that must not get a leap second.
    Critical,
}

/// What a server that cannot be reached means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Unreachable {
    /// Nothing was measured, so nothing is known.
    Unknown,
    /// The server's operator wants to be notified.
    Critical,
}
