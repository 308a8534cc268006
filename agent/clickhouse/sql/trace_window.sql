-- When the traces started and when their last spans started, in whole seconds
-- (both rounded down), from the trace-id time index: it holds a row for each
-- inserted block of a trace.
SELECT
    toInt64(count()) AS blocks,
    toInt64(toUnixTimestamp(min(Start))) AS first,
    toInt64(toUnixTimestamp(max(End))) AS last
FROM {{.TraceIDs}}
WHERE TraceId IN {ids:Array(String)}
