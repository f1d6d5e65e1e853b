-- Version 1 of the store. Times are wall-clock nanoseconds since 1970 unless the name says otherwise; offsets are
-- positive when the server is ahead of this host. Enumerations are the codes of codes.rs; new codes are only appended.

CREATE TABLE meta (
    key   TEXT PRIMARY KEY NOT NULL,
    value ANY NOT NULL
) STRICT, WITHOUT ROWID;

-- One configured name at one address; address is '' for polls that ended before an address was known.
CREATE TABLE series (
    id            INTEGER PRIMARY KEY,
    server        TEXT NOT NULL,
    address       TEXT NOT NULL,
    first_seen_ns INTEGER NOT NULL,
    last_seen_ns  INTEGER NOT NULL,
    UNIQUE (server, address)
) STRICT;

-- One poll. The key makes writing idempotent; a WITHOUT ROWID table keeps a server's day on neighbouring pages.
CREATE TABLE sample (
    series_id         INTEGER NOT NULL,
    wall_ns           INTEGER NOT NULL,
    mono_ns           INTEGER NOT NULL,
    raw_ns            INTEGER NOT NULL,
    outcome           INTEGER NOT NULL,
    reason            TEXT,
    timestamping      INTEGER,
    poll_s            REAL NOT NULL,
    sent              INTEGER NOT NULL,
    lost              INTEGER NOT NULL,
    offset_s          REAL,
    delay_s           REAL,
    root_distance_s   REAL,
    stratum           INTEGER,
    leap              INTEGER,
    refid             INTEGER,
    precision_log2    INTEGER,
    root_delay_s      REAL,
    root_dispersion_s REAL,
    checks_made       INTEGER,
    checks_failed     INTEGER,
    PRIMARY KEY (series_id, wall_ns)
) STRICT, WITHOUT ROWID;

-- The last refused replies of each series, as packets.
CREATE TABLE evidence (
    series_id     INTEGER NOT NULL,
    wall_ns       INTEGER NOT NULL,
    mono_ns       INTEGER NOT NULL,
    raw_ns        INTEGER NOT NULL,
    checks_made   INTEGER NOT NULL,
    checks_failed INTEGER NOT NULL,
    t1            INTEGER NOT NULL,
    t2            INTEGER NOT NULL,
    t3            INTEGER NOT NULL,
    t4            INTEGER NOT NULL,
    datagram      BLOB NOT NULL,
    PRIMARY KEY (series_id, wall_ns)
) STRICT, WITHOUT ROWID;

-- Sums over a bucket, one row for each way of timestamping (-1: nothing was exchanged). n counts the measurements in
-- the means; m2 is the sum of squared differences from the mean.
CREATE TABLE rollup_5m (
    series_id             INTEGER NOT NULL,
    bucket_s              INTEGER NOT NULL,
    timestamping          INTEGER NOT NULL,
    samples               INTEGER NOT NULL,
    timeouts              INTEGER NOT NULL,
    refused               INTEGER NOT NULL,
    kisses                INTEGER NOT NULL,
    rejected              INTEGER NOT NULL,
    unsynchronised        INTEGER NOT NULL,
    dns                   INTEGER NOT NULL,
    faults                INTEGER NOT NULL,
    sent                  INTEGER NOT NULL,
    lost                  INTEGER NOT NULL,
    n                     INTEGER NOT NULL,
    offset_mean_s         REAL,
    offset_m2             REAL,
    offset_min_s          REAL,
    offset_max_s          REAL,
    delay_mean_s          REAL,
    delay_m2              REAL,
    delay_min_s           REAL,
    delay_max_s           REAL,
    root_distance_mean_s  REAL,
    root_distance_max_s   REAL,
    PRIMARY KEY (series_id, bucket_s, timestamping)
) STRICT, WITHOUT ROWID;

-- The same by the hour, with quantile sketches.
CREATE TABLE rollup_1h (
    series_id             INTEGER NOT NULL,
    bucket_s              INTEGER NOT NULL,
    timestamping          INTEGER NOT NULL,
    samples               INTEGER NOT NULL,
    timeouts              INTEGER NOT NULL,
    refused               INTEGER NOT NULL,
    kisses                INTEGER NOT NULL,
    rejected              INTEGER NOT NULL,
    unsynchronised        INTEGER NOT NULL,
    dns                   INTEGER NOT NULL,
    faults                INTEGER NOT NULL,
    sent                  INTEGER NOT NULL,
    lost                  INTEGER NOT NULL,
    n                     INTEGER NOT NULL,
    offset_mean_s         REAL,
    offset_m2             REAL,
    offset_min_s          REAL,
    offset_max_s          REAL,
    delay_mean_s          REAL,
    delay_m2              REAL,
    delay_min_s           REAL,
    delay_max_s           REAL,
    root_distance_mean_s  REAL,
    root_distance_max_s   REAL,
    offset_sketch         BLOB,
    delay_sketch          BLOB,
    PRIMARY KEY (series_id, bucket_s, timestamping)
) STRICT, WITHOUT ROWID;

-- Lines for InfluxDB that are not acknowledged yet. AUTOINCREMENT: an id is never used again, so a late acknowledgement
-- cannot delete other lines than those that were sent.
CREATE TABLE outbox (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    created_ns INTEGER NOT NULL,
    lines      INTEGER NOT NULL,
    bytes      INTEGER NOT NULL,
    body       BLOB NOT NULL
) STRICT;

-- Lines that the database refused, with its reason.
CREATE TABLE outbox_quarantine (
    id         INTEGER PRIMARY KEY,
    created_ns INTEGER NOT NULL,
    reason     TEXT NOT NULL,
    line       BLOB NOT NULL
) STRICT;

-- Detected events. end_ns is NULL while an event lasts; server and address are '' if it concerns none.
CREATE TABLE event (
    id       INTEGER PRIMARY KEY,
    start_ns INTEGER NOT NULL,
    end_ns   INTEGER,
    kind     TEXT NOT NULL,
    server   TEXT NOT NULL,
    address  TEXT NOT NULL,
    detail   TEXT NOT NULL,
    UNIQUE (start_ns, kind, server, address)
) STRICT;
