"""The views for people who query an index with SQL."""

from __future__ import annotations

# Dates that the calendar has, at times that the clock has: casting any other text is an error.
_DATE = (
    r"(?!0000)\d{4}-(0[13578]|1[02])-(0[1-9]|[12]\d|3[01])"
    r"|(?!0000)\d{4}-(0[469]|11)-(0[1-9]|[12]\d|30)"
    r"|(?!0000)\d{4}-02-(0[1-9]|1\d|2[0-8])"
    r"|(\d\d(0[48]|[2468][048]|[13579][26])|(0[48]|[2468][048]|[13579][26])00)-02-29"
)
_TIME = r"([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,9})?)?(Z|[+-](0\d|1[0-4]):[0-5]\d)?"
_MOMENT = f"^({_DATE})T{_TIME}$"

# What was stored by other hands may be of any shape, and one odd record must not break a view for
# all: what does not look as expected is NULL.
CREATE_DATASETS = rf"""
CREATE VIEW atdata_datasets AS
SELECT
    name,
    CASE WHEN body->>'revision' ~ '^\d{{1,15}}$'
        THEN (body->>'revision')::bigint END AS revision,
    body->>'cid' AS cid,
    body->>'content_cid' AS content_cid,
    body->>'schema_ref' AS schema_ref,
    body->'data_urls' AS data_urls,
    totals.shards,
    totals.samples,
    totals.bytes,
    CASE WHEN body->>'created_at' ~ '{_MOMENT}'
        THEN (body->>'created_at')::timestamptz END AS created_at,
    NULLIF(body->'metadata', 'null') AS metadata
FROM atdata_records
LEFT JOIN LATERAL (
    SELECT
        count(*) AS shards,
        sum((shard->>'count')::bigint) FILTER (WHERE shard->>'count' ~ '^\d{{1,12}}$')::bigint
            AS samples,
        sum((shard->>'bytes')::bigint) FILTER (WHERE shard->>'bytes' ~ '^\d{{1,12}}$')::bigint
            AS bytes
    FROM jsonb_array_elements(
        CASE WHEN jsonb_typeof(body->'shards') = 'array' THEN body->'shards' ELSE '[]' END
    ) AS shard
) AS totals ON jsonb_typeof(body->'shards') = 'array'
WHERE kind = 'dataset'
"""  # noqa: S608 -- all of it is written here

CREATE_SCHEMAS = rf"""
CREATE VIEW atdata_schemas AS
SELECT
    name,
    version,
    body->>'description' AS description,
    body->'fields' AS fields,
    CASE WHEN body->>'createdAt' ~ '{_MOMENT}'
        THEN (body->>'createdAt')::timestamptz END AS created_at,
    NULLIF(body->'metadata', 'null') AS metadata
FROM atdata_records
WHERE kind = 'schema'
"""  # noqa: S608 -- all of it is written here
