-- Version 15: events of the authentication of a series in an hour. There is a row only for an hour in which keys were
-- exchanged, the server sent a NAK or a plain reply, or the stock of cookies was not full. `took_s`, `aead`, `fault`
-- and `certificate` (JSON) are those of the last key exchange; `fault` is NULL if it succeeded.
CREATE TABLE nts_hour (
    series_id      INTEGER NOT NULL,
    hour_s         INTEGER NOT NULL,
    exchanges      INTEGER NOT NULL,
    failures       INTEGER NOT NULL,
    took_s         REAL,
    longest_s      REAL,
    naks           INTEGER NOT NULL,
    downgrades     INTEGER NOT NULL,
    fewest_cookies INTEGER NOT NULL,
    cookie_octets  INTEGER,
    aead           TEXT,
    fault          TEXT,
    certificate    TEXT,
    PRIMARY KEY (series_id, hour_s)
) STRICT, WITHOUT ROWID;
