//! The result of asking one server, once or several times.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;

use super::words;
use crate::probe::ProbeReport;
use ntp_monitor_core::conclusion::Claim;
use ntp_monitor_core::nts::Status;
use ntp_monitor_core::sample::{Evidence, Measure, Outcome};

/// The result for one server.
#[derive(Debug, PartialEq)]
pub struct Measured {
    /// The server as the user named it.
    pub name: String,
    /// Where it was asked; `None` when its name did not resolve.
    pub address: Option<SocketAddr>,
    /// Every request in order; never empty.
    reports: Vec<ProbeReport>,
    /// The state of NTS after the last request, if it was asked for.
    pub nts: Option<Status>,
}

impl Measured {
    /// The result of requests to `address`. `first` guarantees that there is at least one report.
    #[must_use]
    pub fn new(name: &str, address: Option<SocketAddr>, first: ProbeReport) -> Self {
        Self { name: name.to_owned(), address, reports: vec![first], nts: None }
    }

    /// Adds the result of a further request.
    pub fn push(&mut self, report: ProbeReport) {
        self.reports.push(report);
    }

    /// Every request in order.
    #[must_use]
    pub fn reports(&self) -> &[ProbeReport] {
        &self.reports
    }

    /// The best request: the measured one with the lowest delay, otherwise the last one.
    #[must_use]
    pub fn best(&self) -> &ProbeReport {
        let measured = self.reports.iter().filter_map(|report| report.measure.map(|m| (report, m.delay_s)));
        let best = measured.min_by(|a, b| a.1.total_cmp(&b.1)).map(|(report, _)| report);
        best.unwrap_or_else(|| self.reports.last().expect("`new` puts one in and nothing takes any out"))
    }

    /// The outcome of the server: a sample if there is one.
    #[must_use]
    pub fn outcome(&self) -> &Outcome {
        &self.best().outcome
    }

    /// A sentence that says why there is no time and what to do; `None` if there is one.
    #[must_use]
    pub fn explanation(&self) -> Option<Cow<'_, str>> {
        let shown = match self.outcome() {
            Outcome::Rejected(check) => {
                self.rejected().filter(|evidence| evidence.checks.first_failure() == Some(*check)).last()
            }
            _ => None,
        };
        shown.and_then(|evidence| evidence.explain(self.address)).or_else(|| words::explain(self.outcome()))
    }

    /// The numbers of the best request.
    #[must_use]
    pub fn measure(&self) -> Option<Measure> {
        self.best().measure
    }

    /// Root mean square of the offsets' differences from the best one, in seconds (RFC 5905 §10); from two samples on.
    #[must_use]
    pub fn jitter_s(&self) -> Option<f64> {
        let best_s = self.measure()?.offset_s;
        let offsets: Vec<f64> = self.reports.iter().filter_map(|r| r.measure).map(|m| m.offset_s).collect();
        let others = (offsets.len() > 1).then(|| (offsets.len() - 1) as f64)?;
        Some((offsets.iter().map(|offset_s| (offset_s - best_s).powi(2)).sum::<f64>() / others).sqrt())
    }

    /// Requests sent; none when there was no address to send to.
    #[must_use]
    pub fn sent(&self) -> usize {
        if self.address.is_some() { self.reports.len() } else { 0 }
    }

    /// Requests without an acceptable reply.
    #[must_use]
    pub fn lost(&self) -> usize {
        let answered =
            |outcome: &Outcome| matches!(outcome, Outcome::Sample | Outcome::Unsynchronised(_) | Outcome::Kiss(_));
        self.sent() - self.reports.iter().filter(|report| answered(&report.outcome)).count().min(self.sent())
    }

    /// Replies that were refused, oldest first, as far as they were kept.
    pub fn rejected(&self) -> impl Iterator<Item = &Arc<Evidence>> {
        self.reports.iter().flat_map(|report| &report.rejected)
    }
}

/// The claims of the measured servers; two names of one address count once.
pub(super) fn claims(results: &[Measured]) -> Vec<Claim> {
    let mut seen: Vec<SocketAddr> = Vec::new();
    let mut claims = Vec::new();
    for measured in results {
        let (Some(address), Some(measure)) = (measured.address, measured.measure()) else { continue };
        if !seen.contains(&address) {
            seen.push(address);
            let server = measured.name.clone();
            claims.push(Claim { server, offset_s: measure.offset_s, bound_s: measure.root_distance_s });
        }
    }
    claims
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sampled(offset_s: f64, delay_s: f64) -> ProbeReport {
        let measure = Some(Measure { offset_s, delay_s, root_distance_s: 0.01 });
        ProbeReport { measure, ..ProbeReport::failed(crate::clock::now(), Outcome::Sample) }
    }

    #[test]
    fn the_lowest_delay_counts_and_jitter_is_relative_to_it() {
        let mut measured = Measured::new("a", "192.0.2.1:123".parse().ok(), sampled(0.004, 0.030));
        assert_eq!(measured.jitter_s(), None);
        measured.push(sampled(0.001, 0.010));
        measured.push(ProbeReport::failed(crate::clock::now(), Outcome::Timeout));
        measured.push(sampled(0.005, 0.020));
        assert_eq!(measured.measure().map(|m| m.offset_s), Some(0.001));
        assert!((measured.jitter_s().unwrap() - (25e-6_f64 / 2.0).sqrt()).abs() < 1e-12);
        assert_eq!((measured.sent(), measured.lost()), (4, 1));
        assert_eq!(measured.outcome(), &Outcome::Sample);
    }
}
