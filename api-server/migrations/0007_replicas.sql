-- The programs that serve this database, each with the end of its lease in milliseconds since 1970, by the clock of the database.
CREATE TABLE replicas (
    id         TEXT PRIMARY KEY,
    expires_at INTEGER NOT NULL
);
-- The replica that decides about a job, and how often that has changed. Who acts on a decision names the number that it has read;
-- a replica that slept meanwhile names an old one.
ALTER TABLE jobs ADD COLUMN driver TEXT;
ALTER TABLE jobs ADD COLUMN generation INTEGER NOT NULL DEFAULT 0;
-- Every replica looks for open jobs, again and again.
CREATE INDEX jobs_by_status ON jobs (status);
