//! The codes by which the store writes enumerations. A code never changes its meaning; new values get new codes.

use ntp_monitor_core::sample::{Authentication, Mode, Outcome, Timestamping};

/// The code of an outcome: its index in [`Outcome::LABELS`], to which labels are only ever appended.
pub(super) fn of_outcome(outcome: &Outcome) -> usize {
    match outcome {
        Outcome::Sample => 0,
        Outcome::Timeout => 1,
        Outcome::Refused => 2,
        Outcome::Kiss(_) => 3,
        Outcome::Rejected(_) => 4,
        Outcome::Unsynchronised(_) => 5,
        Outcome::Dns(_) => 6,
        Outcome::Fault(_) => 7,
    }
}

/// The code of a kind of timestamping.
pub(super) fn of_way(way: Timestamping) -> i64 {
    match way {
        Timestamping::Kernel => 0,
        Timestamping::KernelRx => 1,
        Timestamping::Userland => 2,
    }
}

/// The inverse of [`of_way`].
pub(super) fn way(code: i64) -> Option<Timestamping> {
    Timestamping::ALL.into_iter().find(|way| of_way(*way) == code)
}

/// The code of a kind of authentication.
pub(super) fn of_authentication(kind: Authentication) -> i64 {
    match kind {
        Authentication::None => 0,
        Authentication::Nts => 1,
    }
}

/// The inverse of [`of_authentication`].
pub(super) fn authentication(code: i64) -> Option<Authentication> {
    Authentication::ALL.into_iter().find(|kind| of_authentication(*kind) == code)
}

/// The code of a mode.
pub(super) fn of_mode(mode: Mode) -> i64 {
    match mode {
        Mode::Basic => 0,
        Mode::Interleaved => 1,
    }
}

/// The inverse of [`of_mode`].
pub(super) fn mode(code: i64) -> Option<Mode> {
    Mode::ALL.into_iter().find(|mode| of_mode(*mode) == code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ntp_monitor_core::ntp::{Check, KissCode};

    #[test]
    fn codes_on_disk_are_stable() {
        let outcomes = [
            Outcome::Sample,
            Outcome::Timeout,
            Outcome::Refused,
            Outcome::Kiss(KissCode::RATE),
            Outcome::Rejected(Check::Origin),
            Outcome::Unsynchronised(None),
            Outcome::Dns("".into()),
            Outcome::Fault("".into()),
        ];
        for (code, outcome) in outcomes.iter().enumerate() {
            assert_eq!(of_outcome(outcome), code);
            assert_eq!(Outcome::LABELS[code], outcome.label());
        }
        assert_eq!(Timestamping::ALL.map(of_way), [0, 1, 2]);
        assert!(Timestamping::ALL.into_iter().all(|one| way(of_way(one)) == Some(one)));
        assert_eq!((Authentication::ALL.map(of_authentication), Mode::ALL.map(of_mode)), ([0, 1], [0, 1]));
        assert_eq!([authentication(2), None], [None, authentication(-1)]);
        assert_eq!([mode(2), None], [None, mode(-1)]);
    }
}
