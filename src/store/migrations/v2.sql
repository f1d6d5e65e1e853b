-- Alert states that must survive a restart, the history of alerts, and silences.

-- Alerts that fire, or whose end was not yet notified; target is '' for an alert about no server. The body is JSON.
CREATE TABLE alert_state (
    alert  TEXT NOT NULL,
    target TEXT NOT NULL,
    body   TEXT NOT NULL,
    PRIMARY KEY (alert, target)
) STRICT, WITHOUT ROWID;

-- Alerts that fired. ended_ns is NULL while one lasts. The body is JSON.
CREATE TABLE alert_history (
    id         INTEGER PRIMARY KEY,
    alert      TEXT NOT NULL,
    target     TEXT NOT NULL,
    started_ns INTEGER NOT NULL,
    ended_ns   INTEGER,
    body       TEXT NOT NULL,
    UNIQUE (alert, target, started_ns)
) STRICT;

CREATE INDEX alert_history_by_start ON alert_history (started_ns);

-- Silences that people set. AUTOINCREMENT: the number of a silence is never used again. The body is JSON.
CREATE TABLE silence (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    ends_ns INTEGER NOT NULL,
    body    TEXT NOT NULL
) STRICT;
