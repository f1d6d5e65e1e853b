-- Version 13: the verdict's inputs from the kernel, the time daemon and the list of leap seconds, one row per change.
-- `row` is a JSON object, as the API shows it.
CREATE TABLE local_change (
    wall_ns INTEGER PRIMARY KEY,
    row     TEXT NOT NULL
) STRICT;
