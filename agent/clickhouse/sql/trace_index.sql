-- The time that the trace-id time index is about. Each part of the exporter's
-- tables knows the extremes of Start.
SELECT
    toInt64(count()) AS blocks,
    toInt64(toUnixTimestamp(min(Start))) AS first,
    toInt64(toUnixTimestamp(max(Start))) AS last
FROM {{.TraceIDs}}
