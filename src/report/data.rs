//! A report for programs: the same facts as the page, as JSON and as CSV.

use serde::Serialize;

use super::document::{Document, EVIDENCE, evidence_rows};
use super::material::Material;
use super::nts;
use super::traceability::Traceability;
use crate::history::fleet::FleetSurvey;
use crate::history::survey::Survey;

/// The facts of a report. Serialises to the JSON form.
#[derive(Debug, Clone, Serialize)]
pub struct Data {
    /// The title of the report.
    title: String,
    /// The name of the monitoring location.
    vantage: String,
    /// The most important facts, in sentences.
    summary: Vec<String>,
    /// The evidence of traceability; absent without a server.
    traceability: Option<Traceability>,
    /// The part about the fleet; absent unless this is a hub.
    #[serde(skip_serializing_if = "Option::is_none")]
    fleet: Option<FleetSurvey>,
    /// Coverage, figures and standing of every server, verdicts and events, as `stats --json` prints them.
    #[serde(flatten)]
    survey: Survey,
}

impl Data {
    #[must_use]
    pub(super) fn of(material: &Material, document: &Document) -> Self {
        Self {
            title: document.title.clone(),
            vantage: material.vantage.clone(),
            summary: document.summary.clone(),
            traceability: material.traceability.clone(),
            fleet: material.fleet.clone(),
            survey: material.survey.clone(),
        }
    }

    /// How much of the period was monitored, in words.
    pub(super) fn coverage(&self) -> String {
        self.survey.coverage.sentence()
    }

    /// One line for the majority and one for each server: standing, counts of polls, the shares of the evidence, and the
    /// authentication.
    pub(super) fn csv(&self, document: &Document) -> String {
        let titles = EVIDENCE.map(|title| title.replace(' ', "_"));
        let mut csv =
            format!("server,standing,said,polls,samples,limit_s,{},{}\n", titles.join(","), nts::CSV_COLUMNS.join(","));
        let Some(found) = &self.traceability else { return csv };
        for (n, (name, shares)) in evidence_rows(document, found).into_iter().enumerate() {
            let one = self.survey.servers.get(&name).filter(|_| n > 0);
            let standing = one.map(|one| serde_json::to_value(one.standing.state).unwrap_or_default());
            let outcomes = one.map(|one| one.figures.summary.outcomes);
            let count = |count: Option<u64>| count.map_or_else(String::new, |count| count.to_string());
            let mut cells = vec![
                name,
                standing.and_then(|label| Some(label.as_str()?.to_owned())).unwrap_or_default(),
                one.map_or_else(String::new, |one| one.standing.sentence.clone()),
                count(outcomes.as_ref().map(|outcomes| outcomes.polls())),
                count(outcomes.as_ref().map(|outcomes| outcomes.successes())),
                found.limit_s.to_string(),
            ];
            cells.extend(shares.map(|share| share.trim_end_matches(" %").to_owned()));
            cells.extend(one.and_then(|one| one.nts.as_ref()).map(nts::csv_cells).unwrap_or_default());
            csv.push_str(&cells.iter().map(|cell| quoted(cell)).collect::<Vec<_>>().join(","));
            csv.push('\n');
        }
        csv
    }
}

/// Quotes a cell (RFC 4180), and prevents that a spreadsheet takes it for a formula.
fn quoted(cell: &str) -> String {
    let cell = if cell.starts_with(['=', '+', '@', '\t', '\r']) { format!("'{cell}") } else { cell.to_owned() };
    if cell.contains(['"', ',', '\n', '\r']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_of_csv_stay_cells() {
        let cells = ["plain", "a,b", "say \"x\"", "=1+1", "two\nlines"].map(quoted);
        assert_eq!(cells, ["plain", "\"a,b\"", "\"say \"\"x\"\"\"", "'=1+1", "\"two\nlines\""]);
    }
}
