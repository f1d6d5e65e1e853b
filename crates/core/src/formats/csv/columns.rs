//! The columns, their order, and which of them a file must have.

/// Every column, in the order in which they are written.
pub const COLUMNS: [&str; 23] = [
    "time",
    "vantage",
    "server",
    "address",
    "outcome",
    "reason",
    "offset_s",
    "delay_s",
    "root_delay_s",
    "root_dispersion_s",
    "root_distance_s",
    "stratum",
    "leap",
    "refid",
    "precision_s",
    "poll_s",
    "timestamping",
    "mono_s",
    "raw_s",
    "boot_s",
    "authentication",
    "reference_age_s",
    "mode",
];

/// The columns that a file must have, in any order.
pub const REQUIRED: [&str; 9] =
    ["time", "server", "outcome", "offset_s", "delay_s", "root_delay_s", "root_dispersion_s", "stratum", "leap"];

/// The first line of every file that is written.
pub const HEADER: &str = "time,vantage,server,address,outcome,reason,offset_s,delay_s,root_delay_s,root_dispersion_s,\
                          root_distance_s,stratum,leap,refid,precision_s,poll_s,timestamping,mono_s,raw_s,boot_s,\
                          authentication,reference_age_s,mode\n";

/// One of [`COLUMNS`], in the same order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    Time,
    Vantage,
    Server,
    Address,
    Outcome,
    Reason,
    OffsetS,
    DelayS,
    RootDelayS,
    RootDispersionS,
    RootDistanceS,
    Stratum,
    Leap,
    Refid,
    PrecisionS,
    PollS,
    Timestamping,
    MonoS,
    RawS,
    BootS,
    Authentication,
    ReferenceAgeS,
    Mode,
}

impl Column {
    /// Its index in [`COLUMNS`].
    pub(super) fn index(self) -> usize {
        self as usize
    }

    /// Its name in the first line of a file.
    pub(super) fn name(self) -> &'static str {
        COLUMNS[self.index()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_lists_the_columns_that_reading_requires() {
        assert_eq!(HEADER, COLUMNS.join(",") + "\n");
        assert!(REQUIRED.iter().all(|name| COLUMNS.contains(name)));
        assert_eq!((Column::Time.name(), Column::Stratum.name(), Column::Mode.name()), ("time", "stratum", "mode"));
    }
}
