-- The numbers of a whole trace, however many spans it has.
SELECT
    toInt64(count()) AS spans,
    toInt64(uniqExact({{service}})) AS services,
    max(toUnixTimestamp64Nano(Timestamp) + toInt64(Duration)) - min(toUnixTimestamp64Nano(Timestamp)) AS duration
FROM {{.Traces}}
WHERE {{template "trace_rows.sql" .}}
