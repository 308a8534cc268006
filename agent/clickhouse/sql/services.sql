-- Spans of each service by class: 1 what it serves (server and consumer spans),
-- 2 its root spans, 3 all others.
SELECT
    {{attr "ResourceAttributes" .ServiceNamespace}} AS namespace,
    {{service}} AS name,
    {{attr "ResourceAttributes" .Environment}} AS environment,
    multiIf({{kinds "Server" "Consumer"}}, 1, ParentSpanId = '', 2, 3) AS class,
    toInt64(count()) AS spans,
    toInt64(countIf({{failed}})) AS errors,
    avg(Duration) / 1e6 AS avg_ms,
    arrayMap(ns -> ns / 1e6, quantiles(0.5, 0.99)(Duration)) AS quantiles_ms
FROM {{.Traces}}
WHERE Timestamp >= fromUnixTimestamp64Nano({start:Int64})
  AND Timestamp < fromUnixTimestamp64Nano({end:Int64})
GROUP BY namespace, name, environment, class
ORDER BY namespace, name, environment, class
