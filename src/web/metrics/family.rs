//! The definition of a metric.

use super::scrape::Scrape;
use crate::web::view::row::Row;

pub struct Family {
    /// The name without prefix, unit and suffix.
    pub name: &'static str,
    /// The unit, which is appended to the name.
    pub unit: Option<&'static str>,
    pub kind: Kind,
    /// The meaning, with unit and sign.
    pub help: &'static str,
    /// The source of the values.
    pub values: Values,
}

/// The kinds of metrics in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A value that goes up and down.
    Gauge,
    /// A number that only increases while the program runs.
    Counter,
    /// Texts as labels of the value 1.
    Info,
}

/// Labels with their texts.
pub type Texts = Vec<(String, String)>;

/// The source of values, and their labels. Metrics of servers have `server` and `address`.
pub enum Values {
    /// One value for each series, if known.
    Server(fn(&Row) -> Option<f64>),
    /// Several values for each series, with one more label.
    ServerBy(&'static str, fn(&Row) -> Vec<(&'static str, f64)>),
    /// Texts for each series, if known, with the names of their labels.
    ServerInfo(&'static [&'static str], fn(&Row) -> Option<Texts>),
    /// One value, if known.
    One(fn(&Scrape) -> Option<f64>),
    /// Several values, with one label.
    By(&'static str, fn(&Scrape) -> Vec<(String, f64)>),
    /// Several values, with two labels.
    ByTwo(&'static str, &'static str, fn(&Scrape) -> Vec<(String, String, f64)>),
    Info(fn(&Scrape) -> Vec<(&'static str, String)>),
}

pub(super) const fn of_server(
    name: &'static str,
    unit: Option<&'static str>,
    help: &'static str,
    value: fn(&Row) -> Option<f64>,
) -> Family {
    Family { name, unit, kind: Kind::Gauge, help, values: Values::Server(value) }
}

pub(super) const fn gauge(
    name: &'static str,
    unit: Option<&'static str>,
    help: &'static str,
    value: fn(&Scrape) -> Option<f64>,
) -> Family {
    Family { name, unit, kind: Kind::Gauge, help, values: Values::One(value) }
}

pub(super) fn truth(holds: bool) -> f64 {
    f64::from(u8::from(holds))
}
