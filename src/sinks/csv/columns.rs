//! The columns, their order, and which of them a file must have to be read.

/// Every column, in the order in which they are written.
pub const COLUMNS: [&str; 19] = [
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
];

/// The columns that a file must have to be read, in whatever order.
pub const REQUIRED: [&str; 9] =
    ["time", "server", "outcome", "offset_s", "delay_s", "root_delay_s", "root_dispersion_s", "stratum", "leap"];

/// The first line of every file that is written.
pub const HEADER: &str = "time,vantage,server,address,outcome,reason,offset_s,delay_s,root_delay_s,root_dispersion_s,\
                          root_distance_s,stratum,leap,refid,precision_s,poll_s,timestamping,mono_s,raw_s\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_is_the_columns_and_holds_what_reading_requires() {
        assert_eq!(HEADER, COLUMNS.join(",") + "\n");
        assert!(REQUIRED.iter().all(|name| COLUMNS.contains(name)));
    }
}
