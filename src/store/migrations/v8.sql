-- Version 8: the address that a rejected reply came from.
ALTER TABLE evidence ADD COLUMN sender TEXT;
