-- A hub: how many bytes the packed samples of other vantages take, and how many of them were deleted because they took too
-- many. A row of a block takes some bytes beside its data.
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
