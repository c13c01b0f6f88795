-- Name of the blob of the plan file; NULL for plans of earlier releases, whose name is made from the attempt's id.
ALTER TABLE attempts ADD COLUMN plan_blob TEXT;
-- The version of the state that the attempt read last; 0 if there was none.
ALTER TABLE attempts ADD COLUMN read_state BIGINT;
