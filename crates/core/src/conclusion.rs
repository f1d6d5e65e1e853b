//! The verdict about the local clock from one measurement of each server, as one sentence with its assumption.
//!
//! Each server claims that true time lies within its root distance of its offset. If more than half of the servers are
//! right, true time lies where more than half of these intervals overlap (Marzullo 1984; RFC 5905 §11.2.1). Nothing
//! else is claimed.

use std::fmt;

use crate::text::units;

/// The claim of one server about the local clock.
#[derive(Debug, Clone, PartialEq)]
pub struct Claim {
    /// Its name.
    pub server: String,
    /// Offset in seconds, positive when the server is ahead of this host.
    pub offset_s: f64,
    /// Root distance in seconds.
    pub bound_s: f64,
}

impl Claim {
    fn low_s(&self) -> f64 {
        self.offset_s - self.bound_s
    }

    fn high_s(&self) -> f64 {
        self.offset_s + self.bound_s
    }
}

/// The conclusion from all claims together.
#[derive(Debug, Clone, PartialEq)]
pub enum Conclusion {
    /// No server claims anything.
    Nothing,
    /// No point is within the claims of more than half of the servers.
    Undecidable {
        /// The number of servers with a claim.
        servers: usize,
        /// The largest difference of two offsets in seconds.
        apart_s: f64,
    },
    /// Where true time is, if more than half of the servers are right.
    Bounded(Bounded),
}

/// True time minus local time, by the majority.
#[derive(Debug, Clone, PartialEq)]
pub struct Bounded {
    /// At least this many seconds; positive when the local clock is slow.
    pub low_s: f64,
    /// At most this many seconds.
    pub high_s: f64,
    /// The claim of the closest server of the majority, within the bounds.
    pub estimate_s: f64,
    /// The number of servers with a claim.
    pub servers: usize,
    /// The servers whose claims the majority excludes.
    pub excluded: Vec<String>,
}

/// The intersection of the claims of more than half of the servers (RFC 5905 §11.2.1).
#[must_use]
pub fn conclude(claims: &[Claim]) -> Conclusion {
    if claims.is_empty() {
        return Conclusion::Nothing;
    }
    let Some((low_s, high_s)) = majority_span(claims) else {
        return Conclusion::Undecidable { servers: claims.len(), apart_s: apart_s(claims) };
    };
    let (agreeing, excluded): (Vec<&Claim>, Vec<&Claim>) =
        claims.iter().partition(|claim| claim.low_s() <= high_s && claim.high_s() >= low_s);
    let closest = agreeing.iter().min_by(|a, b| a.bound_s.total_cmp(&b.bound_s));
    Conclusion::Bounded(Bounded {
        low_s,
        high_s,
        estimate_s: closest.map_or((low_s + high_s) / 2.0, |claim| claim.offset_s.clamp(low_s, high_s)),
        servers: claims.len(),
        excluded: excluded.into_iter().map(|claim| claim.server.clone()).collect(),
    })
}

fn apart_s(claims: &[Claim]) -> f64 {
    let offsets = || claims.iter().map(|claim| claim.offset_s);
    let (least, most) = (offsets().min_by(f64::total_cmp), offsets().max_by(f64::total_cmp));
    most.zip(least).map_or(0.0, |(most, least)| most - least)
}

/// From the first to the last point that more than half of the claims contain.
fn majority_span(claims: &[Claim]) -> Option<(f64, f64)> {
    let is_in_majority = |point: &f64| {
        let containing = claims.iter().filter(|claim| claim.low_s() <= *point && *point <= claim.high_s());
        containing.count() * 2 > claims.len()
    };
    // Such a stretch begins where some claim begins and ends where some claim ends.
    let low_s = claims.iter().map(Claim::low_s).filter(is_in_majority).min_by(f64::total_cmp)?;
    let high_s = claims.iter().map(Claim::high_s).filter(is_in_majority).max_by(f64::total_cmp)?;
    Some((low_s, high_s))
}

impl Conclusion {
    /// The servers whose claims the majority excludes.
    #[must_use]
    pub fn excluded(&self) -> &[String] {
        match self {
            Self::Bounded(bounded) => &bounded.excluded,
            Self::Nothing | Self::Undecidable { .. } => &[],
        }
    }
}

impl Bounded {
    /// Whether the local clock may be right.
    #[must_use]
    pub fn contains_zero(&self) -> bool {
        self.low_s <= 0.0 && self.high_s >= 0.0
    }

    /// The servers whose claims give the bounds, for a sentence.
    #[must_use]
    pub fn by_whom(&self) -> String {
        let agreeing = self.servers - self.excluded.len();
        match (agreeing, self.servers) {
            (1, 1) => "the one server measured".to_owned(),
            (2, 2) => "both servers".to_owned(),
            (n, all) if n == all => format!("all {all} servers"),
            (n, all) => format!("{n} of {all} servers"),
        }
    }
}

impl fmt::Display for Conclusion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("no server gave a time, so the local clock cannot be judged"),
            Self::Undecidable { servers: 2, apart_s } => write!(
                f,
                "the two servers differ by {}, more than both allow for: two cannot tell which of them is wrong, or whether \
                 the local clock is right; ask a third one",
                units::seconds(*apart_s)
            ),
            Self::Undecidable { servers, apart_s } => write!(
                f,
                "the {servers} servers differ by up to {} and no majority of them agrees: they cannot tell which of them \
                 are wrong, or whether the local clock is right",
                units::seconds(*apart_s)
            ),
            Self::Bounded(bounded) => bounded.fmt(f),
        }
    }
}

impl fmt::Display for Bounded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let by_whom = self.by_whom();
        if self.contains_zero() {
            let worst_s = self.low_s.abs().max(self.high_s.abs());
            write!(f, "local clock agrees with {by_whom}: wrong by at most {}", units::at_most(worst_s))?;
        } else {
            let direction = if self.low_s > 0.0 { "slow" } else { "fast" };
            let (near_s, far_s) =
                if self.low_s > 0.0 { (self.low_s, self.high_s) } else { (-self.high_s, -self.low_s) };
            let estimate = units::seconds(self.estimate_s.abs());
            let (near, far) = (units::at_least(near_s), units::at_most(far_s));
            write!(f, "local clock is {estimate} {direction} by {by_whom} (at least {near}, at most {far})")?;
        }
        let assumption = if self.servers == 1 { "that server is right" } else { "most of the servers are right" };
        write!(f, ", if {assumption}")?;
        match self.excluded.as_slice() {
            [] => Ok(()),
            [one] => write!(f, "; {one} is then wrong"),
            many => write!(f, "; {} are then wrong", many.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(all: &[(f64, f64)]) -> Vec<Claim> {
        let name = |n: usize| char::from(b'a' + n as u8).to_string();
        let claim = |(n, (offset_s, bound_s)): (usize, &(f64, f64))| Claim {
            server: name(n),
            offset_s: *offset_s,
            bound_s: *bound_s,
        };
        all.iter().enumerate().map(claim).collect()
    }

    fn sentence(all: &[(f64, f64)]) -> String {
        conclude(&claims(all)).to_string()
    }

    #[test]
    fn sentence_states_the_proof_and_its_assumption() {
        assert_eq!(sentence(&[]), "no server gave a time, so the local clock cannot be judged");
        assert_eq!(
            sentence(&[(0.001, 0.004)]),
            "local clock agrees with the one server measured: wrong by at most 5.00 ms, if that server is right"
        );
        assert_eq!(
            sentence(&[(0.003, 0.001), (0.0032, 0.001), (0.0035, 0.001), (-2.0, 0.01)]),
            "local clock is 3.00 ms slow by 3 of 4 servers (at least 2.50 ms, at most 4.00 ms), if most of the servers \
             are right; d is then wrong"
        );
        assert_eq!(
            sentence(&[(-0.003, 0.001), (-0.0032, 0.0005)]),
            "local clock is 3.20 ms fast by both servers (at least 2.70 ms, at most 3.70 ms), if most of the servers \
             are right"
        );
    }

    #[test]
    fn servers_that_contradict_each_other_decide_nothing() {
        let two = [(0.0, 0.01), (1.0, 0.01)];
        assert_eq!(conclude(&claims(&two)), Conclusion::Undecidable { servers: 2, apart_s: 1.0 });
        assert_eq!(
            sentence(&two),
            "the two servers differ by 1.00 s, more than both allow for: two cannot tell which of them is wrong, or \
             whether the local clock is right; ask a third one"
        );
        assert_eq!(
            sentence(&[(0.5, 0.01), (-0.25, 0.01), (0.0, 0.01)]),
            "the 3 servers differ by up to 750 ms and no majority of them agrees: they cannot tell which of them are \
             wrong, or whether the local clock is right"
        );
    }

    #[test]
    fn all_ranges_that_a_majority_allows_are_in_the_bounds() {
        // The wide claim forms a majority with either narrow one: both ranges stay possible, and no server is wrong.
        let Conclusion::Bounded(bounded) = conclude(&claims(&[(0.0, 1.0), (-0.5, 0.1), (0.5, 0.1)])) else {
            panic!("there is a majority")
        };
        assert_eq!((bounded.low_s, bounded.high_s, bounded.excluded.len()), (-0.6, 0.6, 0));
    }

    #[test]
    fn claims_that_touch_agree() {
        let Conclusion::Bounded(bounded) = conclude(&claims(&[(0.0, 0.5), (1.0, 0.5)])) else {
            panic!("they share one point")
        };
        assert_eq!((bounded.low_s, bounded.high_s), (0.5, 0.5));
    }
}
