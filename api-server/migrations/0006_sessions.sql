-- The credential of the executor that claimed an attempt (SHA-256), and when it was last heard of. claimed_by holds the SHA-256 of the
-- executor's id from now on.
ALTER TABLE attempts ADD COLUMN session_hash BLOB;
ALTER TABLE attempts ADD COLUMN last_contact_at TEXT;
-- The plan file (SHA-256), and the version of the state that the attempt read last.
ALTER TABLE attempts ADD COLUMN plan_digest TEXT;
ALTER TABLE attempts ADD COLUMN read_serial BIGINT;
ALTER TABLE attempts ADD COLUMN read_lineage TEXT;
-- A state that could not be stored as a version: name of its blob.
ALTER TABLE attempts ADD COLUMN rescued_state TEXT;
-- Content of a version (SHA-256) and its size in bytes; NULL in versions of earlier releases. Name of the user token that wrote it.
ALTER TABLE states ADD COLUMN digest TEXT;
ALTER TABLE states ADD COLUMN size BIGINT;
ALTER TABLE states ADD COLUMN written_by TEXT;
-- Who answered an approval, when, and which plan was approved.
ALTER TABLE steps ADD COLUMN answered_by TEXT;
ALTER TABLE steps ADD COLUMN answered_at TEXT;
ALTER TABLE steps ADD COLUMN approved_digest TEXT;
