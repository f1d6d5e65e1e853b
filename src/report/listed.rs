//! The end of a long list, with the number of entries before it.

/// Maximum number of verdicts, events and alerts that are listed; the latest are kept.
const MOST_LISTED: usize = 100;

/// The end of a list.
#[derive(Debug, Clone)]
pub struct Listed<T> {
    /// The entries that are shown.
    pub shown: Vec<T>,
    /// The number of earlier entries that are omitted.
    pub before: usize,
}

impl<T: Clone> Listed<T> {
    pub(super) fn of(all: &[T]) -> Self {
        let before = all.len().saturating_sub(MOST_LISTED);
        Self { shown: all[before..].to_vec(), before }
    }

    pub(super) fn with(mut self, change: impl Fn(&mut T)) -> Self {
        self.shown.iter_mut().for_each(change);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_list_shows_its_end() {
        let listed = Listed::of(&(0..150).collect::<Vec<_>>());
        assert_eq!((listed.before, listed.shown.len(), listed.shown[99]), (50, 100, 149));
    }
}
