//! The contents of a key-exchange server's certificate, and how close its expiry is.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The readable parts of a certificate. The texts come from the server; each is one line of limited length.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// The subject.
    pub subject: Box<str>,
    /// The issuer.
    pub issuer: Box<str>,
    /// The serial number, hexadecimal.
    pub serial: Box<str>,
    /// Start of the validity.
    pub not_before: Timestamp,
    /// End of the validity.
    pub not_after: Timestamp,
}

/// How close the expiry of a certificate is, relative to its lifetime. Certificates of 90 days and of 6 days are both
/// renewed when about a third of the lifetime is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Expiry {
    /// More than a fifth of the lifetime is left.
    Far,
    /// At most a fifth is left: its renewal has probably failed.
    Near,
    /// At most a twentieth is left, and at most 48 hours.
    Imminent,
    /// It has expired.
    Past,
}

impl Certificate {
    /// The seconds until its end at `now`; negative after it.
    #[must_use]
    pub fn left_s(&self, now: Timestamp) -> f64 {
        self.not_after.duration_since(now).as_secs_f64()
    }

    /// The share of its lifetime that is left at `now`; negative after its end.
    #[must_use]
    pub fn left_ratio(&self, now: Timestamp) -> f64 {
        let life_s = self.not_after.duration_since(self.not_before).as_secs_f64();
        self.left_s(now) / life_s.max(1.0)
    }

    /// Its whole lifetime.
    #[must_use]
    pub fn lifetime(&self) -> Duration {
        self.not_after.duration_since(self.not_before).try_into().unwrap_or_default()
    }

    /// How close its expiry is at `now`.
    #[must_use]
    pub fn expiry(&self, now: Timestamp) -> Expiry {
        const NEAR: f64 = 0.20;
        const IMMINENT: f64 = 0.05;
        const IMMINENT_S: f64 = 48.0 * 3600.0;
        let (left_s, life_s) = (self.left_s(now), self.not_after.duration_since(self.not_before).as_secs_f64());
        if left_s < 0.0 {
            Expiry::Past
        } else if left_s <= (life_s * IMMINENT).min(IMMINENT_S) {
            Expiry::Imminent
        } else if left_s <= life_s * NEAR {
            Expiry::Near
        } else {
            Expiry::Far
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expiry_is_relative_to_the_lifetime() {
        let at = |day: f64| Timestamp::from_second(1_800_000_000 + (day * 86_400.0) as i64).unwrap();
        let expiry = |life: f64, day: f64| {
            let (not_before, not_after) = (at(0.0), at(life));
            let text = || "".into();
            let it = Certificate { subject: text(), issuer: text(), serial: text(), not_before, not_after };
            it.expiry(at(day))
        };
        for (life, day, expected) in [
            (90.0, 71.0, Expiry::Far),
            (90.0, 72.5, Expiry::Near),
            (90.0, 86.0, Expiry::Near),
            (90.0, 88.5, Expiry::Imminent),
            (90.0, 90.1, Expiry::Past),
            (6.0, 4.7, Expiry::Far),
            (6.0, 4.9, Expiry::Near),
            (6.0, 5.8, Expiry::Imminent),
            (3650.0, 3647.0, Expiry::Near),
        ] {
            assert_eq!(expiry(life, day), expected, "{day} of {life}");
        }
    }
}
