//! `ntp-monitor doctor`: prints the findings as text or JSON, and sets the exit code.

use std::io::{self, Write};

use clap::Args;
use serde_json::json;

use super::table::{Style, Terminal};
use crate::doctor::{Examination, Finding, Level};

const EXAMPLES: &str = "\
Changes nothing. Sends one request to each server, except to those that the service polled a moment ago.
Exit status: 0 nothing worse than a warning, 1 a problem, 78 the configuration cannot be used.

Examples:
  sudo -u ntp-monitor ntp-monitor doctor --config /etc/ntp-monitor/servers.toml
  ntp-monitor doctor --config servers.toml --offline
  ntp-monitor doctor --config servers.toml --json |
    jq '.findings[] | select(.level == \"problem\")'";

/// Arguments of `doctor`.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub struct DoctorArgs {
    /// Send nothing to other machines.
    #[arg(long)]
    pub offline: bool,
    /// As JSON: {"worst": …, "findings": [{"area", "subject", "level", "what", "advice"}]}.
    #[arg(long)]
    pub json: bool,
}

/// Examines, and returns the exit code.
///
/// # Errors
/// When `out` cannot be written.
pub async fn run(
    args: &DoctorArgs,
    examination: &Examination,
    terminal: Terminal,
    out: &mut impl Write,
    err: &mut impl Write,
) -> io::Result<u8> {
    let step = |what: &str| {
        if terminal.progress {
            // Progress output is optional: a failed write is ignored.
            let _ = writeln!(err, "checking: {what} …");
        }
    };
    let findings = examination.run(step).await;
    let worst = findings.iter().map(|finding| finding.level).max().unwrap_or(Level::Ok);
    if args.json {
        writeln!(out, "{:#}", json!({ "worst": worst, "findings": findings }))?;
    } else {
        say(&findings, terminal.color, out)?;
    }
    Ok(match (&examination.loaded, worst) {
        (Err(_), _) => super::config::EXIT_CONFIG,
        (Ok(_), Level::Problem) => 1,
        (Ok(_), _) => 0,
    })
}

fn say(findings: &[Finding], color: bool, out: &mut impl Write) -> io::Result<()> {
    let mut area = "";
    for finding in findings {
        if finding.area != area {
            area = finding.area;
            writeln!(out, "{}", Style::Bold.paint(area, color))?;
        }
        let level = style(finding.level).paint(&format!("{:<8}", finding.level.label()), color);
        writeln!(out, "  {level}{}: {}", finding.subject, finding.what)?;
        if let Some(advice) = &finding.advice {
            writeln!(out, "          -> {advice}")?;
        }
    }
    let count = |level| findings.iter().filter(|finding| finding.level == level).count();
    let (problems, warnings) = (count(Level::Problem), count(Level::Warning));
    let counted = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    writeln!(out, "\n{} checks: {}, {}", findings.len(), counted(problems, "problem"), counted(warnings, "warning"))
}

fn style(level: Level) -> Style {
    match level {
        Level::Ok => Style::Good,
        Level::Note => Style::Faint,
        Level::Warning => Style::Warning,
        Level::Problem => Style::Bad,
    }
}
