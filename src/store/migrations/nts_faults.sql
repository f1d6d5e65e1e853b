-- Version 16: every fault of key exchange that a poll of the hour showed, by label, with a space between two. Until now an hour
-- kept only `fault`, that of its last key exchange.
ALTER TABLE nts_hour ADD COLUMN faults TEXT;
UPDATE nts_hour SET faults = fault;
