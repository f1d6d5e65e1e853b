-- Notifications, written in the transaction of their alerts. They are kept for some time after delivery, so that none
-- is queued twice. ended_ns is NULL while one waits; outcome says how it ended. Notifications of one rule are delivered
-- in order, so the rule is a column.
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
