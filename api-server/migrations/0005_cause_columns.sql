-- Why the Kubernetes Job of an attempt ended: its type, and the rest as JSON. Before, one column had either JSON with both, or,
-- even earlier, nothing but a text.
ALTER TABLE attempts ADD COLUMN cause_kind TEXT;
ALTER TABLE attempts ADD COLUMN cause_detail TEXT;
UPDATE attempts
SET cause_kind = CASE
        WHEN NOT json_valid(cause) THEN 'lost'
        WHEN json_type(cause, '$.type') = 'text' THEN json_extract(cause, '$.type')
        ELSE 'lost'
    END,
    cause_detail = CASE
        WHEN NOT json_valid(cause) THEN json_object('message', cause)
        WHEN json_type(cause, '$.type') = 'text' THEN cause -> '$.detail'
        ELSE json_object('message', cause)
    END
WHERE cause IS NOT NULL;
ALTER TABLE attempts DROP COLUMN cause;
