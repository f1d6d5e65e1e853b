-- The protocol sheet of each server that this host polls, as JSON, with the times at which it was asked questions.
CREATE TABLE sheet (
    series_id INTEGER PRIMARY KEY,
    state     TEXT NOT NULL
) STRICT;
