//! The page of a program that was built without `web/`: verdict, interval chart and servers, rendered here. It has no
//! script and reloads itself.

use std::fmt::Write as _;

use super::chart;
use crate::web::view::row::Row;
use ntp_monitor_core::stats::snapshot::Snapshot;
use ntp_monitor_core::text::html::Text;
use ntp_monitor_core::text::units::{NOTHING, seconds, signed_seconds};

/// Seconds between reloads of the page.
const REFRESH_S: u32 = 10;
/// The most servers on the page; the API lists all of them.
const MOST: usize = 2000;

#[must_use]
pub fn page(vantage: &str, snapshot: &Snapshot, rows: &[Row]) -> String {
    let verdict = &snapshot.verdict;
    let (state, sentence) = (verdict.state.label(), Text(&verdict.sentence));
    let chart = chart::intervals(rows, verdict.majority.as_ref());
    let at = ntp_monitor_core::text::units::wall_time(snapshot.at.wall_ns);
    let vantage = Text(vantage);
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>ntp-monitor {vantage}</title>\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <meta http-equiv=\"refresh\" content=\"{REFRESH_S}\">\n\
         <link rel=\"stylesheet\" href=\"plain.css\">\n</head>\n<body>\n<h1>ntp-monitor at {vantage}</h1>\n\
         <p class=\"verdict {state}\">{sentence}</p>\n{chart}<div class=\"wide\">\n<table>\n"
    );
    table(&mut html, rows);
    let _ = write!(
        html,
        "</table>\n</div>\n<footer>As of {at} by this clock. Offsets are positive when the server is ahead. \
         <a href=\"api/docs\">API</a> · <a href=\"metrics\">Metrics</a> · <a href=\"health\">Health</a></footer>\n\
         </body>\n</html>\n"
    );
    html
}

fn table(html: &mut String, rows: &[Row]) {
    html.push_str("<thead><tr><th>Server<th>State");
    for title in ["Offset", "Delay", "Jitter", "Root distance", "Reach", "Stratum", "Score"] {
        let _ = write!(html, "<th class=\"number\">{title}");
    }
    html.push_str("<th>Reference<th>What is said of it</tr></thead>\n<tbody>\n");
    for row in rows.iter().take(MOST) {
        let state = row.state.label();
        let span = |value: Option<f64>| value.map_or_else(|| NOTHING.to_owned(), seconds);
        let offset = row.offset_s.map_or_else(|| NOTHING.to_owned(), signed_seconds);
        let stratum = row.stratum.map_or_else(|| NOTHING.to_owned(), |stratum| stratum.to_string());
        let score = row.score.map_or_else(|| NOTHING.to_owned(), |score| format!("{score:.1}"));
        let numbers = [
            offset,
            span(row.delay_s),
            span(row.jitter_s),
            span(row.root_distance_s),
            row.reach.clone(),
            stratum,
            score,
        ];
        let _ = write!(html, "<tr class=\"{state}\"><td>{}<td>{state}", Text(&row.id));
        for number in numbers {
            let _ = write!(html, "<td class=\"number\">{}", Text(&number));
        }
        let refid = row.refid.as_deref().unwrap_or(NOTHING);
        let _ = writeln!(html, "<td>{}<td>{}</tr>", Text(refid), Text(&row.sentence));
    }
    html.push_str("</tbody>\n");
}
