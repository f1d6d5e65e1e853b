//! The results of a yes-or-no check for the last sixteen replies.

use serde::{Deserialize, Serialize};

/// How many replies are remembered.
pub(super) const KEPT: u32 = 16;

/// A history of yes and no, newest first.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(super) struct Bits {
    yes: u16,
    known: u8,
}

impl Bits {
    pub fn push(&mut self, yes: bool) {
        self.yes = self.yes << 1 | u16::from(yes);
        self.known = (self.known + 1).min(KEPT as u8);
    }

    /// How many of the last `n` were yes.
    pub fn count(self, n: u32) -> u32 {
        (self.yes & mask(n)).count_ones()
    }

    /// How many of the last `n` are known.
    pub fn known(self, n: u32) -> u32 {
        u32::from(self.known).min(n)
    }

    pub fn last(self) -> bool {
        self.yes & 1 == 1
    }

    pub fn newest_first(self) -> impl Iterator<Item = bool> {
        (0..KEPT).map(move |back| self.yes >> back & 1 == 1)
    }

    /// By how many answers the newest run of no is longer than every run of no between two yes; zero without such a run.
    pub fn calm(self) -> u32 {
        let (mut newest, mut run, mut longest) = (None, 0, None);
        for yes in self.newest_first().take(usize::from(self.known)) {
            if !yes {
                run += 1;
                continue;
            }
            match newest {
                None => newest = Some(run),
                Some(_) => longest = longest.max(Some(run)),
            }
            run = 0;
        }
        newest.zip(longest).map_or(0, |(newest, longest): (u32, u32)| newest.saturating_sub(longest))
    }

    /// Sets the last `n` to no.
    pub fn take_back(&mut self, n: u32) {
        self.yes &= !mask(n);
    }

    /// How often yes was followed by no and then yes again.
    pub fn returns(self) -> u32 {
        // Each run of yes begins with one whose predecessor is no. The first run is no return.
        (self.yes & !(self.yes >> 1)).count_ones().saturating_sub(1)
    }
}

fn mask(n: u32) -> u16 {
    if n >= KEPT { u16::MAX } else { (1 << n) - 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_after_the_last_fault_are_no_part_of_it() {
        let mut bits = Bits::default();
        for n in 0..9 {
            bits.push(n % 3 == 0);
        }
        assert_eq!(bits.calm(), 0);
        (0..5).for_each(|_| bits.push(false));
        assert_eq!(bits.calm(), 5);
        let mut once = Bits::default();
        once.push(true);
        (0..5).for_each(|_| once.push(false));
        assert_eq!(once.calm(), 0);
    }

    #[test]
    fn answers_are_counted_and_their_returns_are_seen() {
        let mut bits = Bits::default();
        [true, true, false, false, true, false].into_iter().for_each(|yes| bits.push(yes));
        assert_eq!((bits.count(2), bits.count(6), bits.known(14), bits.returns()), (1, 3, 6, 1));
        bits.take_back(2);
        assert_eq!((bits.count(16), bits.returns(), bits.last()), (2, 0, false));
    }
}
