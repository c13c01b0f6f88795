-- What the Kubernetes Job of an attempt waits for (JSON), and since when it waits for a thing of that kind.
ALTER TABLE attempts ADD COLUMN waiting TEXT;
ALTER TABLE attempts ADD COLUMN waiting_since TEXT;
