-- What a plan step leaves behind beside the plan file: SHA-256 and blob of the bundle, and the one that was approved.
ALTER TABLE attempts ADD COLUMN bundle_digest TEXT;
ALTER TABLE attempts ADD COLUMN bundle_blob TEXT;
ALTER TABLE steps ADD COLUMN approved_bundle TEXT;
-- The parts of bundles, by the digest of their content. A source has a key, by which a later plan finds it.
CREATE TABLE bundle_parts (
    workspace_id TEXT NOT NULL REFERENCES workspaces (id),
    digest       TEXT NOT NULL,
    source_key   TEXT,
    blob         TEXT NOT NULL,
    size         BIGINT NOT NULL,
    used_at      TEXT NOT NULL,
    PRIMARY KEY (workspace_id, digest)
);
-- Which bundles use them.
CREATE TABLE bundle_uses (
    attempt_id TEXT NOT NULL REFERENCES attempts (id),
    digest     TEXT NOT NULL,
    PRIMARY KEY (attempt_id, digest)
);
