"""The views for people who query an index with SQL."""

from __future__ import annotations

# What was stored by other hands may be of any shape, and one odd record must not break a view for
# all: what does not look as expected is NULL.
CREATE_DATASETS = r"""
CREATE OR REPLACE VIEW atdata_datasets AS
SELECT
    name,
    CASE WHEN body->>'revision' ~ '^\d{1,15}$'
        THEN (body->>'revision')::bigint END AS revision,
    body->>'cid' AS cid,
    body->>'content_cid' AS content_cid,
    body->>'schema_ref' AS schema_ref,
    body->'data_urls' AS data_urls,
    totals.shards,
    totals.samples,
    totals.bytes,
    CASE WHEN body->>'created_at' ~ '^\d{4}-\d\d-\d\dT'
        THEN (body->>'created_at')::timestamptz END AS created_at,
    NULLIF(body->'metadata', 'null') AS metadata
FROM atdata_records
LEFT JOIN LATERAL (
    SELECT
        count(*) AS shards,
        sum((shard->>'count')::bigint) FILTER (WHERE shard->>'count' ~ '^\d{1,15}$')::bigint
            AS samples,
        sum((shard->>'bytes')::bigint) FILTER (WHERE shard->>'bytes' ~ '^\d{1,15}$')::bigint
            AS bytes
    FROM jsonb_array_elements(
        CASE WHEN jsonb_typeof(body->'shards') = 'array' THEN body->'shards' ELSE '[]' END
    ) AS shard
) AS totals ON jsonb_typeof(body->'shards') = 'array'
WHERE kind = 'dataset'
"""

CREATE_SCHEMAS = r"""
CREATE OR REPLACE VIEW atdata_schemas AS
SELECT
    name,
    version,
    body->>'description' AS description,
    body->'fields' AS fields,
    CASE WHEN body->>'createdAt' ~ '^\d{4}-\d\d-\d\dT'
        THEN (body->>'createdAt')::timestamptz END AS created_at,
    NULLIF(body->'metadata', 'null') AS metadata
FROM atdata_records
WHERE kind = 'schema'
"""
