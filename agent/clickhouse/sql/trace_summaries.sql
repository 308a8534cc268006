-- The root is the first span without a parent, else the first span; the error is
-- that of the first failed span.
WITH
    argMin(({{service}}, SpanName), (ParentSpanId != '', Timestamp, SpanId)) AS root,
    argMinIf(
        (
            if(exception['exception.type'] != '', exception['exception.type'], {{attr "SpanAttributes" .ErrorType}}),
            if(exception['exception.message'] != '', exception['exception.message'], StatusMessage)
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
    min(toUnixTimestamp64Nano(Timestamp)) AS first,
    max(toUnixTimestamp64Nano(Timestamp) + toInt64(Duration)) - first AS duration,
    toUInt8(countIf({{failed}}) > 0) AS has_error,
    error.1 AS error_type,
    error.2 AS error_message
FROM (
    SELECT
        TraceId, SpanId, ParentSpanId, ServiceName, SpanName, Timestamp, Duration, StatusCode, StatusMessage,
        SpanAttributes,
        `Events.Attributes`[indexOf(`Events.Name`, 'exception')] AS exception
    FROM {{.Traces}}
    WHERE TraceId IN {ids:Array(String)}
      AND Timestamp >= fromUnixTimestamp64Nano({start:Int64})
      AND Timestamp < fromUnixTimestamp64Nano({end:Int64})
)
GROUP BY id
