-- The numbers of a whole trace, however many spans it has.
SELECT
    toInt64(count()) AS spans,
    toInt64(uniqExact({{service}})) AS services,
    max({{ns "Timestamp"}} + toInt64(Duration)) - min({{ns "Timestamp"}}) AS duration
FROM {{.Traces}}
WHERE {{template "trace_rows.sql" .}}
