-- Version 4: who changed what through the API. AUTOINCREMENT: an entry that was let go leaves a gap that can be seen.

CREATE TABLE audit (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    at_ns   INTEGER NOT NULL,
    who     TEXT NOT NULL,
    role    TEXT NOT NULL,
    peer    TEXT NOT NULL,
    action  TEXT NOT NULL,
    target  TEXT NOT NULL,
    outcome TEXT NOT NULL
) STRICT;
