-- Version 5: this host's clock, once a minute. estimate is true time minus this clock, positive when the clock is slow,
-- and NULL without a majority; the kernel's columns are NULL if it could not be read, the daemon's without a daemon.
-- Whole nanoseconds and microseconds, because SQLite keeps small integers in few bytes.
CREATE TABLE own_clock (
    wall_ns              INTEGER PRIMARY KEY,
    wall_less_raw_ns     INTEGER NOT NULL,
    estimate_ns          INTEGER,
    bound_ns             INTEGER,
    trusted              INTEGER NOT NULL,
    kernel_synchronised  INTEGER,
    kernel_frequency_ppm REAL,
    kernel_max_error_us  INTEGER,
    kernel_est_error_us  INTEGER,
    daemon_offset_ns     INTEGER,
    daemon_bound_ns      INTEGER
) STRICT;
