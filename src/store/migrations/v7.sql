-- Version 7: a series belongs to a vantage ('' is this host), and a sample says how long the host was suspended, how
-- the reply was authenticated, in which mode it was exchanged, and how old the server's reference was.
CREATE TABLE series_7 (
    id            INTEGER PRIMARY KEY,
    vantage       TEXT NOT NULL DEFAULT '',
    server        TEXT NOT NULL,
    address       TEXT NOT NULL,
    first_seen_ns INTEGER NOT NULL,
    last_seen_ns  INTEGER NOT NULL,
    UNIQUE (vantage, server, address)
) STRICT;
INSERT INTO series_7 (id, server, address, first_seen_ns, last_seen_ns)
    SELECT id, server, address, first_seen_ns, last_seen_ns FROM series;
DROP TABLE series;
ALTER TABLE series_7 RENAME TO series;

-- Does what ALTER TABLE ... ADD COLUMN does, but without checking every row, which SQLite does for STRICT tables and
-- which takes minutes for gigabytes. Columns that a row lacks read as their defaults. The statements above have made
-- other connections read the schema again; RESET does so for this one.
PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET sql = replace(sql, '    checks_failed     INTEGER,
', '    checks_failed     INTEGER,
    boot_ns           INTEGER NOT NULL DEFAULT 0,
    authentication    INTEGER NOT NULL DEFAULT 0,
    mode              INTEGER NOT NULL DEFAULT 0,
    reference_age_s   REAL,
') WHERE type = 'table' AND name = 'sample';
PRAGMA writable_schema = RESET;
