-- Copies of the seed's traces with ids of their own, anywhere in the time. Copies
-- are of different groups of services; those of a group call one another.
INSERT INTO otel_traces
SELECT * EXCEPT (copy, began, service) REPLACE (
    lower(hex(sipHash128(TraceId, copy))) AS TraceId,
    lower(hex(sipHash64(SpanId, copy))) AS SpanId,
    if(ParentSpanId = '', '', lower(hex(sipHash64(ParentSpanId, copy)))) AS ParentSpanId,
    service AS ServiceName,
    mapUpdate(ResourceAttributes, map('service.name', service)) AS ResourceAttributes,
    fromUnixTimestamp64Nano(toUnixTimestamp64Nano(Timestamp) - began + ({until} - {seconds}) * 1000000000
        + toInt64(sipHash64(TraceId, copy) % toUInt64({seconds} * 0.99 * 1e9))) AS Timestamp
)
FROM (
    SELECT
        *,
        arrayJoin(range({copies})) AS copy,
        min(toUnixTimestamp64Nano(Timestamp)) OVER (PARTITION BY TraceId, copy) AS began,
        -- Ten services for each two groups: the two share their databases.
        ServiceName || '-' || toString(if(ServiceName IN ('mysql', 'redis-manual'), intDiv(copy % {groups}, 2), copy % {groups})) AS service
    FROM {seed}.otel_traces
)
