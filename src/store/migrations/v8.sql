-- Version 8: where a rejected reply came from.
ALTER TABLE evidence ADD COLUMN sender TEXT;
