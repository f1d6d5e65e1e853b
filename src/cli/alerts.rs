//! Lists the alerts that would have fired, for people.

use std::io::{self, Write};

use super::report::{heading, printable};
use super::table::Style;
use ntp_monitor_core::alert::notification::{Severity, Status};
use ntp_monitor_core::alert::replay::AlertReport;
use ntp_monitor_core::stats::verdict::When;

/// This many of the latest alerts are shown; JSON has all of them.
const SHOWN: usize = 200;

/// Writes the alerts that would have fired, and the number of notifications.
///
/// # Errors
/// I/O errors of the output.
pub(super) fn write(out: &mut impl Write, report: &AlertReport, color: bool) -> io::Result<()> {
    heading(out, "Alerts", color)?;
    if report.alerts.is_empty() {
        writeln!(out, "none would have fired")?;
    }
    let skipped = report.alerts.len().saturating_sub(SHOWN);
    if skipped > 0 {
        writeln!(out, "… {skipped} earlier ones")?;
    }
    for past in &report.alerts[skipped..] {
        let style = if past.severity == Severity::Critical { Style::Bad } else { Style::Warning };
        let minutes = |at: jiff::Timestamp| When(i64::try_from(at.as_nanosecond()).unwrap_or(i64::MAX)).to_string();
        let until = past.ended_at.map_or_else(|| "the end".to_owned(), minutes);
        let severity = style.paint(&format!("{:<8}", past.severity.label()), color);
        let held = past.held_by.as_ref().map_or_else(String::new, |by| format!(" (held back: {by})"));
        let summary = printable(&past.summary);
        writeln!(out, "{} to {until:<20}  {severity}  {}: {summary}{held}", minutes(past.fired_at), past.alert)?;
    }
    let of = |status| report.notifications.iter().filter(|it| it.status == status && !it.reminder).count();
    let reminders = report.notifications.iter().filter(|it| it.reminder).count();
    let (firing, resolved) = (of(Status::Firing), of(Status::Resolved));
    writeln!(out, "messages: {firing} for firing alerts, {resolved} for resolved alerts, {reminders} reminders")
}
