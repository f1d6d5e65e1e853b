-- Notifications, from the transaction of the alerts that they are about until their receiver has them, and a while
-- longer, so that the same one is never queued twice. ended_ns is NULL while one waits; outcome says how it ended.
-- Those of one rule are delivered in order, so the rule is at hand without decoding.
CREATE TABLE notification (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    notifier   TEXT NOT NULL,
    key        TEXT NOT NULL,
    body       TEXT NOT NULL,
    created_ns INTEGER NOT NULL,
    next_ns    INTEGER NOT NULL,
    attempts   INTEGER NOT NULL DEFAULT 0,
    last_error TEXT,
    ended_ns   INTEGER,
    outcome    TEXT CHECK (outcome IN ('delivered', 'given up', 'expired')),
    rule       TEXT GENERATED ALWAYS AS (CASE WHEN json_valid(body) THEN json_extract(body, '$.alert') END) VIRTUAL,
    UNIQUE (notifier, key)
) STRICT;

CREATE INDEX notification_waiting ON notification (notifier, id) WHERE ended_ns IS NULL;
CREATE INDEX notification_ended ON notification (ended_ns) WHERE ended_ns IS NOT NULL;
