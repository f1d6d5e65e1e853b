-- A fleet. An agent keeps its samples, packed into messages, until a hub has stored them; a row with an empty body stands
-- for samples that were dropped because the journal was full or too old, which the hub must still learn of.
CREATE TABLE fleet_journal (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    incarnation TEXT    NOT NULL,
    first_seq   INTEGER NOT NULL,
    samples     INTEGER NOT NULL,
    created_ns  INTEGER NOT NULL,
    body        BLOB    NOT NULL,
    UNIQUE (incarnation, first_seq)
) STRICT;

-- A hub: the numbers of each vantage that it has dealt with, from first_seq up to but not including end_seq.
CREATE TABLE fleet_range (
    vantage     TEXT    NOT NULL,
    incarnation TEXT    NOT NULL,
    first_seq   INTEGER NOT NULL,
    end_seq     INTEGER NOT NULL,
    seen_ns     INTEGER NOT NULL,
    PRIMARY KEY (vantage, incarnation, first_seq)
) STRICT, WITHOUT ROWID;

-- A hub: samples that an agent had to drop, between the samples of these times on the agent's clock.
CREATE TABLE fleet_loss (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    vantage     TEXT    NOT NULL,
    samples     INTEGER NOT NULL,
    found_ns    INTEGER NOT NULL,
    before_ns   INTEGER
) STRICT;

-- A hub: how far it has read each stream. A stream that was created again starts from the beginning.
CREATE TABLE fleet_position (
    stream      TEXT    PRIMARY KEY,
    created     TEXT    NOT NULL,
    sequence    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- A hub: what it knows of each vantage.
CREATE TABLE fleet_vantage (
    vantage     TEXT    PRIMARY KEY,
    received    INTEGER NOT NULL DEFAULT 0,
    repeated    INTEGER NOT NULL DEFAULT 0,
    lost        INTEGER NOT NULL DEFAULT 0,
    refused     INTEGER NOT NULL DEFAULT 0,
    latest_ns   INTEGER NOT NULL DEFAULT 0,
    reason      TEXT
) STRICT, WITHOUT ROWID;
