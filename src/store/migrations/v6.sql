-- Version 6: kisses-o'-death (outcome 3) are found without a look at every sample. What a server asked for holds across
-- a restart, however many good samples came since.
CREATE INDEX sample_kiss ON sample (series_id, wall_ns) WHERE outcome = 3;
