-- A hub reads the messages of each vantage by itself. The position of an earlier release, which is that of all vantages,
-- has no vantage.
CREATE TABLE fleet_position_of (
    stream      TEXT    NOT NULL,
    vantage     TEXT    NOT NULL,
    created     TEXT    NOT NULL,
    sequence    INTEGER NOT NULL,
    PRIMARY KEY (stream, vantage)
) STRICT, WITHOUT ROWID;
INSERT INTO fleet_position_of SELECT stream, '', created, sequence FROM fleet_position;
DROP TABLE fleet_position;
ALTER TABLE fleet_position_of RENAME TO fleet_position;
