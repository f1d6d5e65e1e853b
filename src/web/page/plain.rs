//! The page of a program that was built without `web/`: verdict, interval chart and servers, rendered here. It has no
//! script and reloads itself.

use std::sync::LazyLock;

use serde_json::{Value, json};

use super::chart;
use crate::web::view::row::Row;
use ntp_monitor_core::stats::snapshot::Snapshot;
use ntp_monitor_core::template::Page;
use ntp_monitor_core::text::units::{NOTHING, seconds, signed_seconds, wall_time};

/// Seconds between reloads of the page.
const REFRESH_S: u32 = 10;
/// Maximum number of servers on the page; the API lists all of them.
const MOST: usize = 2000;

/// The titles of the numbers of a row.
const TITLES: [&str; 7] = ["Offset", "Delay", "Jitter", "Root distance", "Reach", "Stratum", "Score"];

static PAGE: LazyLock<Page> = LazyLock::new(|| Page::new(include_str!("plain.html")));

#[must_use]
pub fn page(vantage: &str, snapshot: &Snapshot, rows: &[Row]) -> String {
    let verdict = &snapshot.verdict;
    PAGE.render(&json!({
        "vantage": vantage,
        "refresh_s": REFRESH_S,
        "state": verdict.state.label(),
        "sentence": verdict.sentence,
        "chart_html": chart::intervals(rows, verdict.majority.as_ref()),
        "titles": TITLES,
        "rows": rows.iter().take(MOST).map(cells).collect::<Value>(),
        "at": wall_time(snapshot.at.wall_ns),
    }))
}

fn cells(row: &Row) -> Value {
    let span = |value: Option<f64>| value.map_or_else(|| NOTHING.to_owned(), seconds);
    let numbers = [
        row.offset_s.map_or_else(|| NOTHING.to_owned(), signed_seconds),
        span(row.delay_s),
        span(row.jitter_s),
        span(row.root_distance_s),
        row.reach.clone(),
        row.stratum.map_or_else(|| NOTHING.to_owned(), |stratum| stratum.to_string()),
        row.score.map_or_else(|| NOTHING.to_owned(), |score| format!("{score:.1}")),
    ];
    let refid = row.refid.as_deref().unwrap_or(NOTHING);
    json!({ "id": row.id, "state": row.state.label(), "numbers": numbers, "refid": refid, "sentence": row.sentence })
}
