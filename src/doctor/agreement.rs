//! Checks whether the servers agree with each other and with this host's clock. A server may answer and still be wrong.

use ntp_monitor_core::conclusion::{Claim, Conclusion, conclude};
use ntp_monitor_core::text::units;

use super::Level;
use super::finding::{Area, Finding};

/// An offset that is reported; the warning of `check` and of the built-in alert has the same default.
const LARGE_S: f64 = 0.025;

/// The result of examining one server.
pub(super) struct Look {
    pub finding: Finding,
    /// Its claim about this host's clock, if it gave a time.
    pub claim: Option<Claim>,
}

impl From<Finding> for Look {
    fn from(finding: Finding) -> Self {
        Self { finding, claim: None }
    }
}

/// The findings about all servers, compared with each other, and one about this host's clock if they contradict it.
pub(super) fn weigh(looks: Vec<Look>) -> Vec<Finding> {
    let claims: Vec<Claim> = looks.iter().filter_map(|look| look.claim.clone()).collect();
    let conclusion = conclude(&claims);
    let clock = about_clock(&conclusion);
    let is_clock_wrong = clock.is_some();
    let judged = looks.into_iter().map(|look| match look.claim {
        Some(claim) => compared(look.finding, &claim, &conclusion, is_clock_wrong),
        None => look.finding,
    });
    judged.chain(clock).collect()
}

/// A finding if a majority of at least two servers shows that this host's clock is off by more than their error ranges.
fn about_clock(conclusion: &Conclusion) -> Option<Finding> {
    let Conclusion::Bounded(bounded) = conclusion else { return None };
    let agreeing = bounded.servers - bounded.excluded.len();
    let is_certain = agreeing >= 2 && !bounded.contains_zero() && bounded.estimate_s.abs() >= LARGE_S;
    is_certain.then(|| {
        let advice = "check what corrects the clock: `chronyc tracking`, `ntpq -p` or `timedatectl timesync-status`";
        Area("clock").problem("servers", conclusion.to_string(), advice)
    })
}

fn compared(finding: Finding, claim: &Claim, conclusion: &Conclusion, is_clock_wrong: bool) -> Finding {
    if finding.level != Level::Ok {
        return finding;
    }
    let off = units::seconds(claim.offset_s.abs());
    let (remark, advice) = match conclusion {
        Conclusion::Bounded(bounded) if bounded.excluded.contains(&claim.server) => (
            format!("contradicts {}", bounded.by_whom()),
            "if most of the servers are right, this one is wrong: check its sources, or use another server",
        ),
        Conclusion::Undecidable { .. } => (
            "contradicts other servers".to_owned(),
            "no majority agrees, so it is not known which of them are wrong: add independent servers",
        ),
        _ if is_clock_wrong || claim.offset_s.abs() < LARGE_S => return finding,
        _ => (
            format!("{off} from this host's clock"),
            "one of the two clocks is wrong: with more or nearer servers a majority can tell which",
        ),
    };
    let what = format!("{}; {remark}", finding.what);
    Finding { level: Level::Warning, what, advice: Some(advice.to_owned()), ..finding }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn levels(claims: &[(f64, f64)]) -> Vec<(String, Level)> {
        let look = |(nth, (offset_s, bound_s)): (usize, &(f64, f64))| {
            let server = format!("s{nth}");
            let claim = Some(Claim { server: server.clone(), offset_s: *offset_s, bound_s: *bound_s });
            Look { finding: Area("servers").ok(server, "sample"), claim }
        };
        let found = weigh(claims.iter().enumerate().map(look).collect());
        found.into_iter().map(|finding| (format!("{} {}", finding.area, finding.subject), finding.level)).collect()
    }

    fn expect(claims: &[(f64, f64)], expected: &[(&str, Level)]) {
        let found = levels(claims);
        let expected: Vec<_> = expected.iter().map(|(what, level)| ((*what).to_owned(), *level)).collect();
        assert_eq!(found, expected, "{claims:?}");
    }

    #[test]
    fn server_far_off_is_never_ok_unless_the_clock_is_wrong() {
        let (ok, warning, problem) = (Level::Ok, Level::Warning, Level::Problem);
        expect(&[(0.001, 0.01)], &[("servers s0", ok)]);
        expect(&[(0.08, 0.01)], &[("servers s0", warning)]);
        expect(&[(0.08, 0.2), (0.001, 0.2)], &[("servers s0", warning), ("servers s1", ok)]);
        expect(&[(0.08, 0.01), (0.0, 0.01)], &[("servers s0", warning), ("servers s1", warning)]);
        expect(
            &[(0.08, 0.01), (0.0, 0.01), (0.001, 0.01)],
            &[("servers s0", warning), ("servers s1", ok), ("servers s2", ok)],
        );
        expect(
            &[(0.08, 0.01), (0.081, 0.01), (0.08, 0.01)],
            &[("servers s0", ok), ("servers s1", ok), ("servers s2", ok), ("clock servers", problem)],
        );
    }
}
