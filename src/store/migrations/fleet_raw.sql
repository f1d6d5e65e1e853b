-- A hub: the size of the packed samples of other vantages, and the number of samples deleted because it was too large.
-- A row of a block takes some bytes in addition to its data.
CREATE TABLE fleet_raw (
    id      INTEGER PRIMARY KEY CHECK (id = 0),
    bytes   INTEGER NOT NULL,
    dropped INTEGER NOT NULL
) STRICT;

INSERT INTO fleet_raw (id, bytes, dropped)
    SELECT 0, ifnull(sum(length(data) + 64), 0), 0 FROM block JOIN series ON series.id = series_id WHERE vantage <> '';

CREATE TRIGGER fleet_raw_insert AFTER INSERT ON block
WHEN EXISTS (SELECT 1 FROM series WHERE id = NEW.series_id AND vantage <> '') BEGIN
    UPDATE fleet_raw SET bytes = bytes + length(NEW.data) + 64;
END;

CREATE TRIGGER fleet_raw_update AFTER UPDATE ON block
WHEN EXISTS (SELECT 1 FROM series WHERE id = NEW.series_id AND vantage <> '') BEGIN
    UPDATE fleet_raw SET bytes = bytes + length(NEW.data) - length(OLD.data);
END;

CREATE TRIGGER fleet_raw_delete AFTER DELETE ON block
WHEN EXISTS (SELECT 1 FROM series WHERE id = OLD.series_id AND vantage <> '') BEGIN
    UPDATE fleet_raw SET bytes = bytes - length(OLD.data) - 64;
END;
