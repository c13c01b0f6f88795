-- Ids are UUIDs as text, except those of jobs, which are small integers that people say aloud.
-- Times are RFC 3339 in UTC. A column named *_sealed holds bytes encrypted with the server's key.

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value BLOB NOT NULL
);

CREATE TABLE tokens (
    id         TEXT PRIMARY KEY,
    name       TEXT NOT NULL UNIQUE,
    hash       BLOB NOT NULL UNIQUE,
    created_at TEXT NOT NULL
);

CREATE TABLE organizations (
    id         TEXT PRIMARY KEY,
    name       TEXT NOT NULL UNIQUE,
    created_at TEXT NOT NULL
);

CREATE TABLE workspaces (
    id                TEXT PRIMARY KEY,
    organization_id   TEXT NOT NULL REFERENCES organizations (id),
    name              TEXT NOT NULL,
    source            TEXT NOT NULL,
    branch            TEXT NOT NULL,
    folder            TEXT NOT NULL,
    iac_type          TEXT NOT NULL,
    terraform_version TEXT NOT NULL,
    -- The job that holds the workspace; only that one may start attempts on it.
    locked_by_job     INTEGER,
    created_at        TEXT NOT NULL,
    UNIQUE (organization_id, name)
);

CREATE TABLE variables (
    id           TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL REFERENCES workspaces (id),
    category     TEXT NOT NULL,
    key          TEXT NOT NULL,
    value_sealed BLOB NOT NULL,
    sensitive    BOOLEAN NOT NULL,
    hcl          BOOLEAN NOT NULL,
    UNIQUE (workspace_id, category, key)
);

CREATE TABLE templates (
    id              TEXT PRIMARY KEY,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    name            TEXT NOT NULL,
    tcl             TEXT NOT NULL,
    UNIQUE (organization_id, name)
);

CREATE TABLE jobs (
    id               INTEGER PRIMARY KEY AUTOINCREMENT,
    organization_id  TEXT NOT NULL REFERENCES organizations (id),
    workspace_id     TEXT NOT NULL REFERENCES workspaces (id),
    template_id      TEXT NOT NULL REFERENCES templates (id),
    status           TEXT NOT NULL,
    message          TEXT,
    cancel_requested BOOLEAN NOT NULL DEFAULT FALSE,
    created_at       TEXT NOT NULL,
    ended_at         TEXT
);
CREATE INDEX jobs_by_workspace ON jobs (workspace_id, id);

CREATE TABLE steps (
    id          TEXT PRIMARY KEY,
    job_id      INTEGER NOT NULL REFERENCES jobs (id),
    number      INTEGER NOT NULL,
    name        TEXT NOT NULL,
    type        TEXT NOT NULL,
    status      TEXT NOT NULL,
    message     TEXT,
    has_changes BOOLEAN,
    started_at  TEXT,
    ended_at    TEXT,
    UNIQUE (job_id, number)
);

CREATE TABLE attempts (
    id                TEXT PRIMARY KEY,
    job_id            INTEGER NOT NULL REFERENCES jobs (id),
    step_id           TEXT NOT NULL REFERENCES steps (id),
    number            INTEGER NOT NULL,
    kubernetes_job    TEXT NOT NULL UNIQUE,
    token_hash        BLOB NOT NULL,
    -- The rendered batch/v1 Job as JSON: a submit that is repeated after a crash sends the same bytes.
    job_object_sealed BLOB NOT NULL,
    phase             TEXT NOT NULL,
    -- Only a live attempt may claim, write logs, plans and states, and report.
    live              BOOLEAN NOT NULL DEFAULT TRUE,
    submit_failures   INTEGER NOT NULL DEFAULT 0,
    retry_at          TEXT,
    refusal           TEXT,
    cancel_sent       BOOLEAN NOT NULL DEFAULT FALSE,
    claimed_by        TEXT,
    claimed_host      TEXT,
    claimed_at        TEXT,
    has_plan          BOOLEAN NOT NULL DEFAULT FALSE,
    result            TEXT,
    cause             TEXT,
    status            TEXT NOT NULL,
    message           TEXT,
    created_at        TEXT NOT NULL,
    ended_at          TEXT,
    UNIQUE (step_id, number)
);
CREATE INDEX attempts_by_job ON attempts (job_id);

CREATE TABLE states (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    workspace_id TEXT NOT NULL REFERENCES workspaces (id),
    serial       INTEGER NOT NULL,
    lineage      TEXT NOT NULL,
    -- NULL when a person wrote it.
    attempt_id   TEXT REFERENCES attempts (id),
    blob         TEXT NOT NULL,
    created_at   TEXT NOT NULL
);
CREATE INDEX states_by_workspace ON states (workspace_id, id);

CREATE TABLE state_locks (
    workspace_id TEXT PRIMARY KEY REFERENCES workspaces (id),
    lock_id      TEXT NOT NULL,
    info         TEXT NOT NULL,
    attempt_id   TEXT REFERENCES attempts (id),
    created_at   TEXT NOT NULL
);
