-- What the response to a claim needs (JSON), apart from the Kubernetes Job. Rows of earlier versions get it when the store is opened.
ALTER TABLE attempts ADD COLUMN claim_sealed BLOB;
