SELECT
    {{ns "Timestamp"}},
    SpanId,
    ParentSpanId,
    SpanName,
    SpanKind,
    {{service}},
    toInt64(Duration),
    StatusCode,
    StatusMessage,
    {{whole "ResourceAttributes"}},
    {{whole "SpanAttributes"}},
    arrayMap(at -> toUnixTimestamp64Nano(toDateTime64(at, 9)), `Events.Timestamp`),
    `Events.Name`,
    {{wholes "Events.Attributes"}}
FROM {{.Traces}}
WHERE {{template "trace_rows.sql" .}}
ORDER BY Timestamp, SpanId
LIMIT {limit:UInt32}
