//! The charts of a report, and the event marks in them. Pure.

use super::material::{Drawn, Material};
use crate::history::happening::Happening;
use crate::plot::{
    Compared, Deviation, Look, Mark, Quantity, Size, Theme, comparison, deviations, histogram, over_time,
};
use ntp_monitor_core::stats::verdict::When;

#[derive(Debug, Clone)]
pub struct Drawing {
    /// The identifier: letters, digits and hyphens.
    pub id: String,
    pub about: String,
    /// The chart as SVG.
    pub svg: String,
}

const WIDE: Size = Size::USUAL;
const LOW: Size = Size { width: 960, height: 300 };

/// Charts of all servers together.
pub(super) fn overview(material: &Material) -> Vec<Drawing> {
    let found = &material.survey;
    if found.servers.is_empty() {
        return Vec::new();
    }
    let courses: Vec<_> = material.drawn.iter().map(|one| &one.course).collect();
    let stability = material.drawn.iter().filter_map(|one| {
        let figures = &found.servers.get(&one.course.server)?.figures;
        Some((one.course.server.as_str(), &figures.stability))
    });
    let stability: Vec<_> = stability.collect();
    let compared: Vec<_> = found
        .servers
        .iter()
        .map(|(name, one)| Compared { server: name, offset: &one.figures.summary.offset, blamed: found.accuses(name) })
        .collect();
    let marks = marks(material, None);
    let limit_s = material.traceability.as_ref().map_or(0.1, |all| all.limit_s);
    let over = |quantity, look: Look<'_>| over_time(look, quantity, &courses, &marks, material.charted);
    let draw =
        |id: &str, title: &str, size: Size, work: &dyn Fn(Look<'_>) -> String| drawing(material, id, title, size, work);
    let mut all = vec![
        draw("comparison", "Servers compared", WIDE, &|look| comparison(look, &compared)),
        draw("offset", "Offset", WIDE, &|look| over(Quantity::Offset, look)),
        draw("bound", "Error bound of this host's clock", WIDE, &|look| over(Quantity::Bound { limit_s }, look)),
        draw("delay", "Round-trip delay", WIDE, &|look| over(Quantity::Delay, look)),
    ];
    if found.judged_from.is_some() {
        all.push(draw("adev", "Allan deviation", WIDE, &|look| deviations(look, Deviation::Allan, &stability)));
        all.push(draw("tdev", "Time deviation", WIDE, &|look| deviations(look, Deviation::Time, &stability)));
    }
    all
}

/// Charts of the n-th server.
pub(super) fn detail(material: &Material, n: usize, one: &Drawn) -> [Drawing; 2] {
    let name = &one.course.server;
    let marks = marks(material, Some(name));
    let offset = format!("Offset: {name}");
    let values = format!("Distribution of offsets: {name}");
    [
        drawing(material, &format!("offset-{n}"), &offset, WIDE, &|look| {
            over_time(look, Quantity::Offset, &[&one.course], &marks, material.charted)
        }),
        drawing(material, &format!("histogram-{n}"), &values, LOW, &|look| histogram(look, &one.offsets)),
    ]
}

fn drawing(material: &Material, id: &str, title: &str, size: Size, work: &dyn Fn(Look<'_>) -> String) -> Drawing {
    let [from, to] = [material.charted.from_ns, material.charted.to_ns].map(|ns| material.times.minute(When(ns)));
    let subtitle = format!("{from} to {to}; seen from {}", material.vantage);
    let svg = work(Look { size, theme: &Theme::LIGHT, title, subtitle: &subtitle });
    Drawing { id: id.to_owned(), about: title.to_owned(), svg }
}

/// Marks of the events about one server and about all of them; of all events if no server is given.
fn marks(material: &Material, server: Option<&str>) -> Vec<Mark> {
    let concerned =
        |event: &&Happening| server.is_none() || event.server.is_none() || event.server.as_deref() == server;
    let within = material.survey.events.iter().filter(concerned).filter(|event| material.charted.holds(event.start.0));
    within.map(|event| Mark { at_ns: event.start.0 }).collect()
}
