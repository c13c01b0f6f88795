-- Why the last call of the backend failed, and since when the cluster has refused the Kubernetes Job in a row.
ALTER TABLE attempts ADD COLUMN last_error TEXT;
ALTER TABLE attempts ADD COLUMN refused_since TEXT;
-- When the container was first seen running, when the executor reported, and the deadline with its origin, as users read it.
ALTER TABLE attempts ADD COLUMN running_at TEXT;
ALTER TABLE attempts ADD COLUMN reported_at TEXT;
ALTER TABLE attempts ADD COLUMN deadline TEXT;
-- The job with an unknown outcome that a job checks by a plan.
ALTER TABLE jobs ADD COLUMN recheck_of BIGINT;
-- What users decided about jobs with an unknown outcome, with the evidence (JSON) that they had.
CREATE TABLE resolutions (
    id          TEXT PRIMARY KEY,
    job_id      BIGINT NOT NULL REFERENCES jobs (id),
    action      TEXT NOT NULL,
    decided_by  TEXT NOT NULL,
    decided_at  TEXT NOT NULL,
    note        TEXT,
    evidence    TEXT NOT NULL,
    recheck_job BIGINT REFERENCES jobs (id)
);
CREATE INDEX resolutions_by_job ON resolutions (job_id);
