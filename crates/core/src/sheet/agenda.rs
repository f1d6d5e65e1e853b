//! Decides when a server may be asked a question, and which one.

use super::Question;

/// Minimum time between two questions to one server, in nanoseconds: one day.
pub const BETWEEN_QUESTIONS_NS: i64 = 86_400 * 1_000_000_000;

/// When each question was last asked, on one clock in nanoseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Agenda {
    asked_ns: [Option<i64>; Question::ALL.len()],
}

impl Agenda {
    /// An agenda with these times, in the order of [`Question::ALL`].
    #[must_use]
    pub fn with(asked_ns: [Option<i64>; Question::ALL.len()]) -> Self {
        Self { asked_ns }
    }

    /// The question to ask now: the one that was not asked for the longest time; `None` if any was asked within a day.
    #[must_use]
    pub fn due(&self, now_ns: i64) -> Option<Question> {
        if self.is_resting(now_ns) {
            return None;
        }
        // `None`, never asked, is the smallest.
        Question::ALL.into_iter().min_by_key(|question| self.asked_ns[*question as usize])
    }

    /// Whether a question was asked within a day. A time in the future counts too.
    #[must_use]
    pub fn is_resting(&self, now_ns: i64) -> bool {
        self.last_ns().is_some_and(|last_ns| now_ns.saturating_sub(last_ns) < BETWEEN_QUESTIONS_NS)
    }

    /// When the last question was asked.
    #[must_use]
    pub fn last_ns(&self) -> Option<i64> {
        self.asked_ns.iter().flatten().max().copied()
    }

    /// Records that a question is being asked.
    pub fn asked(&mut self, question: Question, now_ns: i64) {
        self.asked_ns[question as usize] = Some(now_ns);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_question_a_day_in_turn() {
        let (mut agenda, mut asked) = (Agenda::default(), Vec::new());
        for hour in 0..24 * 8 {
            let now_ns = hour * 3600 * 1_000_000_000;
            if let Some(question) = agenda.due(now_ns) {
                agenda.asked(question, now_ns);
                asked.push((hour / 24, question));
            }
        }
        let expected = (0..8).zip(Question::ALL.into_iter().cycle());
        assert_eq!(asked, expected.collect::<Vec<_>>());
    }

    #[test]
    fn question_of_the_future_counts_as_asked_now() {
        let agenda = Agenda::with([None, Some(5 * BETWEEN_QUESTIONS_NS), None]);
        assert_eq!(agenda.due(BETWEEN_QUESTIONS_NS), None);
        assert_eq!(agenda.due(6 * BETWEEN_QUESTIONS_NS), Some(Question::Version3));
    }
}
