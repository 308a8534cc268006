-- The root is the first span without a parent, else the first span; the error is
-- that of the first failed span.
WITH
    argMin(({{service}}, SpanName), (ParentSpanId != '', Timestamp, SpanId)) AS root,
    argMinIf(
        (
            if(thrown_type != '', thrown_type, stated_type),
            if(thrown_message != '', thrown_message, StatusMessage)
        ),
        (Timestamp, SpanId),
        {{failed}}
    ) AS error
SELECT
    TraceId AS id,
    root.1 AS root_service,
    root.2 AS root_operation,
    arraySort(groupUniqArray(1000)({{service}})) AS services,
    toInt64(uniqExact({{service}})) AS service_count,
    toInt64(count()) AS spans,
    min({{ns "Timestamp"}}) AS first,
    max({{ns "Timestamp"}} + toInt64(Duration)) - first AS duration,
    toUInt8(countIf({{failed}}) > 0) AS has_error,
    error.1 AS error_type,
    error.2 AS error_message
FROM (
    SELECT
        TraceId, SpanId, ParentSpanId, ServiceName, SpanName, Timestamp, Duration, StatusCode, StatusMessage,
        {{attr "SpanAttributes" .ErrorType}} AS stated_type,
        indexOf(`Events.Name`, 'exception') AS thrown_at,
        {{element "Events.Attributes" "thrown_at" "exception.type"}} AS thrown_type,
        {{element "Events.Attributes" "thrown_at" "exception.message"}} AS thrown_message
    FROM {{.Traces}}
    WHERE TraceId IN {ids:Array(String)}
      AND Timestamp >= fromUnixTimestamp64Nano({start:Int64})
      AND Timestamp < fromUnixTimestamp64Nano({end:Int64})
)
GROUP BY id
