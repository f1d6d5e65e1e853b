-- A fleet. An agent keeps its samples, packed into messages, until a hub has stored them. A row with an empty body
-- represents samples that were dropped because the journal was full or they were too old; the hub must be informed of
-- them.
CREATE TABLE fleet_journal (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    incarnation TEXT    NOT NULL,
    first_seq   INTEGER NOT NULL,
    samples     INTEGER NOT NULL,
    created_ns  INTEGER NOT NULL,
    body        BLOB    NOT NULL,
    UNIQUE (incarnation, first_seq)
) STRICT;

-- A hub: the numbers of each vantage that it has received or counted as lost, first_seq included, end_seq excluded.
CREATE TABLE fleet_range (
    vantage     TEXT    NOT NULL,
    incarnation TEXT    NOT NULL,
    first_seq   INTEGER NOT NULL,
    end_seq     INTEGER NOT NULL,
    seen_ns     INTEGER NOT NULL,
    PRIMARY KEY (vantage, incarnation, first_seq)
) STRICT, WITHOUT ROWID;

-- A hub: samples that an agent dropped. found_ns is when the hub noticed, by its own clock; before_ns is the time of
-- the first sample after the loss, by the agent's clock, and NULL if there is none.
CREATE TABLE fleet_loss (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    vantage     TEXT    NOT NULL,
    samples     INTEGER NOT NULL,
    found_ns    INTEGER NOT NULL,
    before_ns   INTEGER
) STRICT;

-- A hub: how far it has read each stream. A stream that was created again is read from its beginning.
CREATE TABLE fleet_position (
    stream      TEXT    PRIMARY KEY,
    created     TEXT    NOT NULL,
    sequence    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- A hub: its counters of each vantage.
CREATE TABLE fleet_vantage (
    vantage     TEXT    PRIMARY KEY,
    received    INTEGER NOT NULL DEFAULT 0,
    repeated    INTEGER NOT NULL DEFAULT 0,
    lost        INTEGER NOT NULL DEFAULT 0,
    refused     INTEGER NOT NULL DEFAULT 0,
    latest_ns   INTEGER NOT NULL DEFAULT 0,
    reason      TEXT
) STRICT, WITHOUT ROWID;
