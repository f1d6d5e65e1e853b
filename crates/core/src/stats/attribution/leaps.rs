//! Compares the servers that announced a leap second with the others, which may smear it.

use super::bits::Bits;
use super::engine::Engine;
use super::own::Now;
use super::robust;
use super::series::Series;
use super::watch::{Edge, Look};
use crate::ntp::Leap;
use crate::stats::leap::smear_at_s;
use crate::stats::verdict::list_names;

const HALF_DAY_S: f64 = 43_200.0;
/// Servers clear their announcement about midnight; what they announced until this long before counts, in seconds.
const BEFORE_LEAP_S: f64 = 300.0;
/// A smear that is smaller than so many standard deviations of single values cannot be seen yet.
const SEEN: f64 = 16.0;
/// The groups differ by the smear within this part of it, and so many standard deviations.
const FITS: (f64, f64) = (0.25, 4.0);
const OPEN_AFTER: u8 = 2;

impl Series {
    /// Takes note of whether the server announces that it will insert a leap second.
    pub fn note_leap(&mut self, since_noon_s: Option<f64>) {
        if since_noon_s.is_none_or(|since_s| since_s < HALF_DAY_S - BEFORE_LEAP_S) {
            self.inserts = self.watch.announced() == Some(Leap::Insert);
        }
    }
}

impl Engine {
    /// Compares the servers that announced a leap second with the others.
    pub(super) fn look_at_smear(&mut self, now: &Now, voters: &[usize]) {
        let look = now.since_noon_s.map_or(Look::Calm, |since_s| {
            self.smear.noon_s = now.t_s - since_s;
            self.smear.size_s = smear_at_s(since_s);
            self.compare_smear(voters)
        });
        if now.since_noon_s.is_none() {
            (self.smear.doubt_s, self.smear.of_all) = (0.0, false);
        }
        match self.smear.watch.look(self.round, look, OPEN_AFTER) {
            Some(Edge::Closed) => {
                self.ended_s = Some(now.t_s.min(self.smear.noon_s + 2.0 * HALF_DAY_S));
                self.dirty = true;
            }
            Some(Edge::Opened) => self.dirty = true,
            None => {}
        }
        if self.smear.is_split() {
            self.forget_proofs();
        }
    }

    fn compare_smear(&mut self, voters: &[usize]) -> Look {
        self.smear.doubt_s = 0.0;
        let (inserting, others): (Vec<usize>, Vec<usize>) = voters.iter().partition(|i| self.series[**i].inserts);
        let votes: f64 = inserting.iter().map(|i| self.series[*i].vote).sum();
        let size_s = self.smear.size_s.abs();
        let moved_s = self.own.lean_s() * self.smear.size_s.signum();
        let most_s = 2.0 * size_s + SEEN * self.own.track.sigma_s();
        self.smear.of_all = inserting.is_empty() && (0.5 * size_s..most_s).contains(&moved_s);
        if inserting.is_empty() || votes * 2.0 > self.votes + 1e-9 || size_s == 0.0 {
            return Look::Calm;
        }
        let lean_s = |of: &[usize]| robust::median(&mut of.iter().map(|i| self.series[*i].lean_s).collect::<Vec<_>>());
        let sigmas = voters.iter().map(|i| self.series[*i].track.sigma_s()).filter(|s| s.is_finite());
        let sigma_s = robust::median(&mut sigmas.collect::<Vec<_>>());
        let apart_s = lean_s(&others) - lean_s(&inserting);
        let fits = (apart_s - self.smear.size_s).abs() < FITS.0 * size_s + FITS.1 * sigma_s;
        let is_small = size_s < SEEN * sigma_s;
        if is_small || fits {
            self.smear.doubt_s = 2.0 * size_s + SEEN * sigma_s;
        }
        match (is_small, fits) {
            (true, _) => Look::Unclear,
            (false, true) => Look::Hit(1),
            (false, false) => Look::Calm,
        }
    }

    /// No majority of servers with two kinds of time proves anything.
    fn forget_proofs(&mut self) {
        self.own.forget_proof();
        for series in &mut self.series {
            series.conflicts = Bits::default();
            if let Some(finding) = &mut series.finding {
                finding.proven = false;
            }
        }
    }

    /// Names both groups.
    pub(super) fn smear_text(&self) -> String {
        let names = |inserts: bool| {
            let of = || self.series.iter().filter(move |s| s.has_voice && s.inserts == inserts);
            list_names(of().count(), of().map(|s| &*s.ident.name))
        };
        format!(
            "Undecidable: {} smear a leap second and {} insert it, so the two groups differ by up to half a second from \
             noon to noon UTC. Configure servers of one kind only.",
            names(false),
            names(true)
        )
    }
}
