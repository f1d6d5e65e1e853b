-- Version 16: the labels of all key-exchange faults that polls of the hour showed, separated by spaces. Earlier
-- versions stored only `fault`, that of the last key exchange.
ALTER TABLE nts_hour ADD COLUMN faults TEXT;
UPDATE nts_hour SET faults = fault;
