-- Samples in batches. A batch is one row of the journal; when the journal holds enough, its samples are packed into
-- blocks, each of one series, and its rows are deleted. Both hold the columns of block/mod.rs. The blocks of a series
-- never overlap in time. The table `sample` is no longer written; its rows are moved into blocks while the service
-- runs.
CREATE TABLE journal (
    id       INTEGER PRIMARY KEY,
    first_ns INTEGER NOT NULL,
    last_ns  INTEGER NOT NULL,
    samples  INTEGER NOT NULL,
    data     BLOB NOT NULL
) STRICT;

CREATE TABLE block (
    id        INTEGER PRIMARY KEY,
    series_id INTEGER NOT NULL,
    first_ns  INTEGER NOT NULL,
    last_ns   INTEGER NOT NULL,
    samples   INTEGER NOT NULL,
    data      BLOB NOT NULL
) STRICT;

CREATE UNIQUE INDEX block_by_series ON block (series_id, first_ns);

-- The last kiss RATE of each series. It must be obeyed after a restart, even if samples followed.
CREATE TABLE rate_kiss (
    series_id INTEGER PRIMARY KEY,
    wall_ns   INTEGER NOT NULL,
    poll_s    REAL NOT NULL
) STRICT;

-- The other column is that of the row with the maximum.
INSERT INTO rate_kiss (series_id, wall_ns, poll_s)
    SELECT series_id, max(wall_ns), poll_s FROM sample WHERE outcome = 3 AND reason = 'RATE' GROUP BY series_id;

DROP INDEX sample_kiss;
