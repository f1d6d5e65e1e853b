-- Version 6: an index to find kisses-o'-death (outcome 3). They must be obeyed after a restart, even if good samples
-- followed.
CREATE INDEX sample_kiss ON sample (series_id, wall_ns) WHERE outcome = 3;
