//! Hysteresis: something begins after several sightings in a row, and ends after several absences in a row.

use serde::{Deserialize, Serialize};

/// Sightings in a row that open.
pub(super) const OPEN_AFTER: u8 = 3;
/// Absences in a row that close.
pub(super) const CLOSE_AFTER: u8 = 5;

/// A row of sightings is forgotten after this many looks in a row that could not tell.
const FORGET_AFTER: u32 = 12;

/// What one look found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// It is there, in this direction (+1, −1).
    Hit(i8),
    /// Too noisy to tell. Neither continues nor ends a row, but many of them in a row discard it.
    Unclear,
    /// It is not there.
    Calm,
}

/// What a look changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Edge {
    Opened,
    Closed,
}

#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(super) struct Watch {
    sign: i8,
    hits: u8,
    calms: u8,
    unclear: u32,
    /// The round of the first sighting in the present row.
    pub first: u64,
    pub open: bool,
}

impl Watch {
    /// Whether it is closed and the last look that could tell saw nothing.
    pub fn is_quiet(&self) -> bool {
        !self.open && self.hits == 0
    }

    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// Takes one look of a round, opening after `open_after` hits.
    pub fn look(&mut self, round: u64, look: Look, open_after: u8) -> Option<Edge> {
        match look {
            Look::Unclear => {
                self.unclear += 1;
                if self.unclear > FORGET_AFTER && !self.open {
                    self.hits = 0;
                }
                None
            }
            Look::Hit(sign) => {
                (self.calms, self.unclear) = (0, 0);
                if self.open {
                    return None;
                }
                if self.hits == 0 || sign != self.sign {
                    (self.sign, self.hits, self.first) = (sign, 0, round);
                }
                self.hits += 1;
                self.open = self.hits >= open_after;
                self.open.then_some(Edge::Opened)
            }
            Look::Calm if self.open => {
                self.calms += 1;
                if self.calms < CLOSE_AFTER {
                    return None;
                }
                self.reset();
                Some(Edge::Closed)
            }
            Look::Calm => {
                self.hits = 0;
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_in_a_row_open_and_five_calm_ones_close() {
        let mut watch = Watch::default();
        let looks = [Look::Hit(1), Look::Unclear, Look::Hit(1)];
        assert!(looks.iter().enumerate().all(|(k, l)| watch.look(k as u64, *l, OPEN_AFTER).is_none()));
        assert_eq!(watch.look(3, Look::Hit(1), OPEN_AFTER), Some(Edge::Opened));
        assert_eq!(watch.first, 0);
        for k in 4..8 {
            assert_eq!(watch.look(k, Look::Calm, OPEN_AFTER), None);
        }
        assert_eq!(watch.look(8, Look::Calm, OPEN_AFTER), Some(Edge::Closed));
    }

    #[test]
    fn something_that_comes_and_goes_neither_opens_nor_closes() {
        let mut watch = Watch::default();
        for k in 0..100 {
            let look = if k % 3 == 2 { Look::Calm } else { Look::Hit(1) };
            assert_eq!(watch.look(k, look, OPEN_AFTER), None);
        }
        for k in 0..3 {
            watch.look(k, Look::Hit(-1), OPEN_AFTER);
        }
        assert!(watch.open);
        for k in 0..100 {
            let look = if k % 5 == 4 { Look::Hit(-1) } else { Look::Calm };
            assert_eq!(watch.look(k, look, OPEN_AFTER), None);
        }
    }

    #[test]
    fn sightings_in_opposite_directions_do_not_add_up() {
        let mut watch = Watch::default();
        for k in 0..20 {
            assert_eq!(watch.look(k, Look::Hit(if k % 2 == 0 { 1 } else { -1 }), OPEN_AFTER), None);
        }
    }
}
