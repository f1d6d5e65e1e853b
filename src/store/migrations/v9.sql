-- Version 9: what a receiver already has of a notification (JSON, written by the notifier), so that a retry after a
-- restart sends the rest only. Its array "missing" names receivers that later notifications of the rule may pass by.
ALTER TABLE notification ADD COLUMN progress TEXT;
