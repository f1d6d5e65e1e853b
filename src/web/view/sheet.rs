//! The protocol sheet of one server as the API and `query --sheet` show it.

use schemars::JsonSchema;
use serde::Serialize;

use ntp_monitor_core::sheet::{Line, Sheet};
use ntp_monitor_core::stats::verdict::When;

/// The protocol sheet of one address.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize)]
pub struct SheetView {
    /// Every trait, including those that are not known yet.
    pub traits: Vec<TraitRow>,
    /// The last kiss-o'-death within 30 days.
    pub last_kiss: Option<KissRow>,
}

/// One trait of a server.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize)]
pub struct TraitRow {
    /// Its name.
    #[serde(rename = "trait")]
    pub name: &'static str,
    /// Its title for people.
    pub title: String,
    /// Its value: a word, or a number in seconds or hops; `null` if it is not known yet.
    pub value: Option<String>,
    /// The value in words.
    pub text: String,
    /// Whether it varies from reply to reply; the value is then the previous one.
    pub varies: bool,
}

/// A kiss-o'-death. The service never provokes one.
#[derive(Debug, Clone, PartialEq, JsonSchema, Serialize)]
pub struct KissRow {
    /// When it arrived.
    pub time: When,
    /// The poll interval at that time.
    pub poll_s: f64,
}

impl SheetView {
    /// A sheet as it is shown.
    #[must_use]
    pub fn of(sheet: &Sheet) -> Self {
        let row = |Line { of, title, value, text, varies }| TraitRow { name: of.label(), title, value, text, varies };
        Self {
            traits: sheet.lines().into_iter().map(row).collect(),
            last_kiss: sheet.kiss.map(|kiss| KissRow { time: When(kiss.wall_ns), poll_s: kiss.poll_s }),
        }
    }
}
