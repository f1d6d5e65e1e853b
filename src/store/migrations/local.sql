-- Version 13: what the verdict takes from the kernel, the time daemon and the list of leap seconds, a row a change. `row` is
-- a JSON object, as the API shows it.
CREATE TABLE local_change (
    wall_ns INTEGER PRIMARY KEY,
    row     TEXT NOT NULL
) STRICT;
