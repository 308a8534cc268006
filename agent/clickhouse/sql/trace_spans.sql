SELECT
    toUnixTimestamp64Nano(Timestamp),
    SpanId,
    ParentSpanId,
    SpanName,
    SpanKind,
    {{service}},
    toInt64(Duration),
    StatusCode,
    StatusMessage,
    ResourceAttributes,
    SpanAttributes,
    arrayMap(at -> toUnixTimestamp64Nano(at), `Events.Timestamp`),
    `Events.Name`,
    `Events.Attributes`
FROM {{.Traces}}
WHERE {{template "trace_rows.sql" .}}
ORDER BY Timestamp, SpanId
LIMIT {limit:UInt32}
