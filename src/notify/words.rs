//! A notification as text, the same for every channel.

use ntp_monitor_core::alert::notification::{Instance, Notification, Severity, Status};
use ntp_monitor_core::text::plain;

/// Number of alerts that are listed individually; the rest is counted.
const LISTED: usize = 20;

/// The status and severity, in one or two words.
pub(super) fn kind(notification: &Notification) -> &'static str {
    match (notification.status, notification.reminder, notification.severity) {
        (Status::Resolved, ..) => "RESOLVED",
        (Status::Firing, false, Severity::Critical) => "CRITICAL",
        (Status::Firing, false, Severity::Warning) => "WARNING",
        (Status::Firing, false, Severity::Info) => "INFO",
        (Status::Firing, true, Severity::Critical) => "STILL CRITICAL",
        (Status::Firing, true, Severity::Warning) => "STILL WARNING",
        (Status::Firing, true, Severity::Info) => "STILL INFO",
    }
}

/// One line: `CRITICAL: summary`.
pub(super) fn title(notification: &Notification) -> String {
    clip(&format!("{}: {}", kind(notification), one_line(&notification.summary)), 240)
}

/// The severity as in the configuration.
pub(super) fn severity(notification: &Notification) -> &'static str {
    match notification.severity {
        Severity::Info => "info",
        Severity::Warning => "warning",
        Severity::Critical => "critical",
    }
}

/// The colour of the severity: red, orange or blue; green for a resolved alert.
pub(super) fn colour(notification: &Notification) -> &'static str {
    match (notification.status, notification.severity) {
        (Status::Resolved, _) => "#2e7d32",
        (_, Severity::Critical) => "#c62828",
        (_, Severity::Warning) => "#ef6c00",
        (_, Severity::Info) => "#1565c0",
    }
}

/// One line per alert, up to the limit.
pub(super) fn lines(notification: &Notification) -> Vec<String> {
    let mut lines: Vec<String> = notification.alerts.iter().take(LISTED).map(line).collect();
    if notification.alerts.len() > LISTED {
        lines.push(format!("… and {} more", notification.alerts.len() - LISTED));
    }
    lines
}

fn line(instance: &Instance) -> String {
    let span = match instance.ended_at {
        None => format!("since {}", when(instance.started_at)),
        Some(end) => format!("from {} to {}", when(instance.started_at), when(end)),
    };
    format!("{} ({span})", one_line(&instance.summary))
}

/// A time in readable form, in UTC.
pub(super) fn when(time: jiff::Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// The rule, the monitoring location and the links, each with its label.
pub(super) fn facts(notification: &Notification) -> Vec<(&'static str, String)> {
    let mut facts = vec![("Alert", notification.alert.clone()), ("Seen from", notification.vantage.clone())];
    facts.extend(notification.runbook_url.clone().map(|url| ("Runbook", url)));
    facts.extend(notification.url.clone().map(|url| ("Details", url)));
    facts
}

/// The complete text, without the title.
pub(super) fn text(notification: &Notification) -> String {
    let mut text = String::new();
    if !notification.description.is_empty() {
        text = format!("{}\n\n", multi_line(&notification.description));
    }
    for line in lines(notification) {
        text += &format!("• {line}\n");
    }
    text.push('\n');
    for (name, value) in facts(notification) {
        text += &format!("{name}: {}\n", one_line(&value));
    }
    text
}

/// Replaces characters that could break a line, a header or a terminal, or change the reading direction.
pub(super) fn one_line(text: &str) -> String {
    plain::one_line(text, ' ')
}

/// The same, except line feeds.
pub(super) fn multi_line(text: &str) -> String {
    text.chars().map(|c| if plain::is_disruptive(c) && c != '\n' { ' ' } else { c }).collect()
}

/// At most `chars` characters; an ellipsis marks a cut.
pub(super) fn clip(text: &str, chars: usize) -> String {
    if text.chars().count() <= chars {
        return text.to_owned();
    }
    text.chars().take(chars - 1).chain(['…']).collect()
}

/// At most `bytes` bytes; an ellipsis marks a cut.
pub(super) fn clip_bytes(text: &str, bytes: usize) -> String {
    if text.len() <= bytes {
        return text.to_owned();
    }
    format!("{}…", &text[..text.floor_char_boundary(bytes - '…'.len_utf8())])
}

/// At most `units` UTF-16 code units; an ellipsis marks a cut.
pub(super) fn clip_utf16(text: &str, units: usize) -> String {
    if text.encode_utf16().count() <= units {
        return text.to_owned();
    }
    let mut left = units - 1;
    let fitting = text.chars().take_while(|c| {
        let fits = c.len_utf16() <= left;
        left = left.saturating_sub(c.len_utf16());
        fits
    });
    fitting.chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn title_is_one_line_with_status_and_severity() {
        let mut news = Notification::sample(jiff::Timestamp::UNIX_EPOCH);
        news.severity = Severity::Critical;
        news.summary = "time\nis off".into();
        assert_eq!(title(&news), "CRITICAL: time is off");
        news.reminder = true;
        assert!(title(&news).starts_with("STILL CRITICAL"));
        news.status = Status::Resolved;
        assert!(title(&news).starts_with("RESOLVED"));
    }

    #[test]
    fn alerts_beyond_the_limit_are_counted() {
        let mut news = Notification::sample(jiff::Timestamp::UNIX_EPOCH);
        news.alerts = vec![news.alerts[0].clone(); 50];
        let lines = lines(&news);
        assert_eq!((lines.len(), lines[LISTED].as_str()), (LISTED + 1, "… and 30 more"));
    }

    #[test]
    fn cut_is_marked_and_never_splits_a_character() {
        assert_eq!(clip("äöüß", 4), "äöüß");
        assert_eq!(clip("äöüßx", 4), "äöü…");
        assert_eq!((clip_bytes("äöü", 6), clip_bytes("äöüß", 7)), ("äöü".into(), "äö…".into()));
        assert_eq!((clip_utf16("😀😀", 4), clip_utf16("😀😀😀", 5)), ("😀😀".into(), "😀😀…".into()));
        assert_eq!(clip_utf16("😀x😀x", 4), "😀x…");
    }
}
