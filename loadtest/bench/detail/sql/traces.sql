-- Copies of the seed's traces, one after the other in time, with ids and times of
-- their own. The services of a copy are those of one of some groups.
INSERT INTO otel_traces
SELECT * EXCEPT (copy, began, service) REPLACE (
    lower(hex(substring(SHA256(concat(TraceId, '/', toString(copy))), 1, 16))) AS TraceId,
    lower(hex(sipHash64(SpanId, copy))) AS SpanId,
    if(ParentSpanId = '', '', lower(hex(sipHash64(ParentSpanId, copy)))) AS ParentSpanId,
    service AS ServiceName,
    mapUpdate(ResourceAttributes, map('service.name', service)) AS ResourceAttributes,
    fromUnixTimestamp64Nano(toUnixTimestamp64Nano(Timestamp) + began) AS Timestamp
)
FROM (
    SELECT
        *,
        arrayJoin(range({first}, {last})) AS copy,
        {begin} * 1000000000 + copy * {slot} + toInt64(sipHash64(TraceId, copy) % {slot}) AS began,
        ServiceName || '-' || toString(copy % {groups}) AS service
    FROM {seed}.otel_traces
)
