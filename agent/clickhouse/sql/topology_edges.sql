-- Calls from service to service: a span whose parent is of another service. Each
-- is counted where the callee's span starts; its parent may have started up to a
-- margin outside the range. ANY LEFT: a parent that was delivered twice is one.
SELECT
    parent.namespace AS source_namespace,
    parent.name AS source_name,
    child.namespace AS target_namespace,
    child.name AS target_name,
    toInt64(count()) AS calls,
    toInt64(countIf(child.failed)) AS errors,
    avg(child.duration) / 1e6 AS avg_ms
FROM (
    SELECT
        TraceId AS trace,
        ParentSpanId AS parent_span,
        {{attr "ResourceAttributes" .ServiceNamespace}} AS namespace,
        {{service}} AS name,
        {{failed}} AS failed,
        Duration AS duration
    FROM {{.Traces}}
    WHERE Timestamp >= fromUnixTimestamp64Nano({start:Int64})
      AND Timestamp < fromUnixTimestamp64Nano({end:Int64})
      AND ParentSpanId != ''
) AS child
ANY LEFT JOIN (
    SELECT
        TraceId AS trace,
        SpanId AS span,
        {{attr "ResourceAttributes" .ServiceNamespace}} AS namespace,
        {{service}} AS name
    FROM {{.Traces}}
    WHERE Timestamp >= fromUnixTimestamp64Nano({start:Int64} - {margin:Int64})
      AND Timestamp < fromUnixTimestamp64Nano({end:Int64} + {margin:Int64})
) AS parent ON child.trace = parent.trace AND child.parent_span = parent.span
WHERE parent.span != '' AND (parent.namespace, parent.name) != (child.namespace, child.name)
GROUP BY source_namespace, source_name, target_namespace, target_name
ORDER BY source_namespace, source_name, target_namespace, target_name
