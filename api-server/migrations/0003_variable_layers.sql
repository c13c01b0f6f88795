-- Variables belong to a workspace, to an organization (global variables) or to a collection.
CREATE TABLE collections (
    id              TEXT PRIMARY KEY,
    organization_id TEXT NOT NULL REFERENCES organizations (id),
    name            TEXT NOT NULL,
    -- Of two collections with the same key, the higher priority wins.
    priority        INTEGER NOT NULL,
    UNIQUE (organization_id, name)
);

CREATE TABLE workspace_collections (
    workspace_id  TEXT NOT NULL REFERENCES workspaces (id),
    collection_id TEXT NOT NULL REFERENCES collections (id),
    PRIMARY KEY (workspace_id, collection_id)
);
CREATE INDEX workspace_collections_by_collection ON workspace_collections (collection_id);

CREATE TABLE layered_variables (
    id              TEXT PRIMARY KEY,
    workspace_id    TEXT REFERENCES workspaces (id),
    organization_id TEXT REFERENCES organizations (id),
    collection_id   TEXT REFERENCES collections (id),
    category        TEXT NOT NULL,
    key             TEXT NOT NULL,
    value_sealed    BLOB NOT NULL,
    sensitive       BOOLEAN NOT NULL,
    hcl             BOOLEAN NOT NULL,
    CHECK ((workspace_id IS NOT NULL) + (organization_id IS NOT NULL) + (collection_id IS NOT NULL) = 1),
    UNIQUE (workspace_id, category, key),
    UNIQUE (organization_id, category, key),
    UNIQUE (collection_id, category, key)
);

INSERT INTO layered_variables (id, workspace_id, category, key, value_sealed, sensitive, hcl)
SELECT id, workspace_id, category, key, value_sealed, sensitive, hcl FROM variables;

DROP TABLE variables;
ALTER TABLE layered_variables RENAME TO variables;
