//! The object that `query --sheet --json` writes. Field names are stable.

use std::borrow::Cow;
use std::io::{self, Write};
use std::net::SocketAddr;

use serde::Serialize;

use super::words;
use crate::web::view::nts::NtsState;
use crate::web::view::sheet::SheetView;
use ntp_monitor_core::clock::Stamp;
use ntp_monitor_core::nts::Status;
use ntp_monitor_core::sample::Outcome;
use ntp_monitor_core::sheet::{DRAFT, Sheet};
use ntp_monitor_core::text::units;

/// The final result for one server.
#[derive(Debug)]
pub(super) struct Found {
    pub name: String,
    pub address: Option<SocketAddr>,
    pub sheet: Sheet,
    /// How its last poll ended.
    pub outcome: Outcome,
    /// Requests that were sent.
    pub sent: usize,
    pub nts: Option<Status>,
}

#[derive(Serialize)]
struct Document<'a> {
    /// When the last answer came: RFC 3339, UTC, by the local clock.
    time: String,
    /// The draft of NTP version 5 that was announced.
    draft: &'static str,
    /// One for each server address, in the order of the arguments.
    sheets: Vec<ServerSheet<'a>>,
}

#[derive(Serialize)]
struct ServerSheet<'a> {
    server: &'a str,
    address: Option<String>,
    /// How the last poll ended, as in the results of `query --json`.
    outcome: &'static str,
    reason: Cow<'a, str>,
    /// The same in words.
    explanation: Option<Cow<'a, str>>,
    /// Requests that were sent, at most six.
    sent: usize,
    #[serde(flatten)]
    sheet: SheetView,
    /// The key exchange; `null` if none was made.
    nts: Option<NtsState>,
}

/// Writes `found` as one JSON object and a newline.
///
/// # Errors
/// I/O errors of the output.
pub(super) fn write(found: &[Found], now: Stamp, out: &mut impl Write) -> io::Result<()> {
    let sheets = found.iter().map(|one| ServerSheet::of(one, now)).collect();
    serde_json::to_writer_pretty(&mut *out, &Document { time: units::rfc3339(now.wall_ns), draft: DRAFT, sheets })?;
    writeln!(out)
}

impl<'a> ServerSheet<'a> {
    fn of(one: &'a Found, now: Stamp) -> Self {
        Self {
            server: &one.name,
            address: one.address.map(|address| address.to_string()),
            outcome: one.outcome.label(),
            reason: one.outcome.reason(),
            explanation: words::explain(&one.outcome),
            sent: one.sent,
            sheet: SheetView::of(&one.sheet),
            nts: one.nts.as_ref().map(|status| NtsState::of(status, now.wall_ns)),
        }
    }
}
