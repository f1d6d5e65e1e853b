//! A set of instants: disjoint periods in order of time.

use super::span::Span;

/// Disjoint, not empty periods in order of time.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stretches(Vec<Span>);

impl Stretches {
    /// The union of the periods.
    #[must_use]
    pub fn of(mut spans: Vec<Span>) -> Self {
        spans.retain(|span| span.from_ns < span.to_ns);
        spans.sort_unstable_by_key(|span| span.from_ns);
        let mut merged: Vec<Span> = Vec::new();
        for span in spans {
            match merged.last_mut().filter(|last| span.from_ns <= last.to_ns) {
                Some(last) => last.to_ns = last.to_ns.max(span.to_ns),
                None => merged.push(span),
            }
        }
        Self(merged)
    }

    /// Adds a period that does not begin before the latest one.
    pub fn push(&mut self, span: Span) {
        match self.0.last_mut().filter(|last| span.from_ns <= last.to_ns) {
            Some(last) => last.to_ns = last.to_ns.max(span.to_ns),
            None if span.from_ns < span.to_ns => self.0.push(span),
            None => {}
        }
    }

    /// The union of all sets.
    #[must_use]
    pub fn union<'a>(all: impl Iterator<Item = &'a Self>) -> Self {
        Self::of(all.flat_map(|one| one.0.iter().copied()).collect())
    }

    /// The intersection with `other`.
    #[must_use]
    pub fn within(&self, other: &Self) -> Self {
        let (mut shared, mut rest) = (Vec::new(), other.0.as_slice());
        for span in &self.0 {
            // A period of the other set can overlap several periods of this set, so only those that end before this
            // period are skipped.
            rest = &rest[rest.partition_point(|theirs| theirs.to_ns <= span.from_ns)..];
            for theirs in rest.iter().take_while(|theirs| theirs.from_ns < span.to_ns) {
                shared.push(Span { from_ns: span.from_ns.max(theirs.from_ns), to_ns: span.to_ns.min(theirs.to_ns) });
            }
        }
        Self::of(shared)
    }

    /// The part of this set within the period.
    #[must_use]
    pub fn clipped(&self, to: Span) -> Self {
        self.within(&Self::of(vec![to]))
    }

    /// Whether any instant of the period is in this set.
    #[must_use]
    pub fn touches(&self, span: Span) -> bool {
        let next = self.0.partition_point(|one| one.to_ns <= span.from_ns);
        self.0.get(next).is_some_and(|one| one.from_ns < span.to_ns)
    }

    /// The length of all periods in seconds.
    #[must_use]
    pub fn length_s(&self) -> f64 {
        // The sum of no floats is -0.0.
        self.0.iter().map(|span| span.length_s()).sum::<f64>() + 0.0
    }

    /// The first instant, in nanoseconds since 1970.
    #[must_use]
    pub fn first_ns(&self) -> Option<i64> {
        self.0.first().map(|span| span.from_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(spans: &[(i64, i64)]) -> Stretches {
        Stretches::of(spans.iter().map(|&(from_ns, to_ns)| Span { from_ns, to_ns }).collect())
    }

    #[test]
    fn overlapping_and_adjacent_periods_are_one() {
        assert_eq!(of(&[(5, 9), (0, 2), (2, 3), (8, 12), (4, 4)]), of(&[(0, 3), (5, 12)]));
        let mut pushed = Stretches::default();
        for (from_ns, to_ns) in [(0, 2), (1, 4), (4, 4), (6, 7)] {
            pushed.push(Span { from_ns, to_ns });
        }
        assert_eq!(pushed, of(&[(0, 4), (6, 7)]));
    }

    #[test]
    fn sets_are_intersected() {
        let (a, b) = (of(&[(0, 10), (20, 30)]), of(&[(5, 22), (25, 26), (29, 40)]));
        assert_eq!(a.within(&b), of(&[(5, 10), (20, 22), (25, 26), (29, 30)]));
        assert_eq!(a.within(&b), b.within(&a));
        assert_eq!(a.clipped(Span { from_ns: 8, to_ns: 21 }), of(&[(8, 10), (20, 21)]));
        assert_eq!(a.length_s(), 20e-9);
    }

    #[test]
    fn touching_needs_a_shared_instant() {
        let set = of(&[(0, 10), (20, 30)]);
        let touches = |from_ns, to_ns| set.touches(Span { from_ns, to_ns });
        assert!(touches(9, 12) && touches(29, 99) && touches(-5, 1));
        assert!(!touches(10, 20) && !touches(30, 40) && !Stretches::default().touches(Span { from_ns: 0, to_ns: 9 }));
    }
}
