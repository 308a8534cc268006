SELECT
    toInt64(count()) AS spans,
    min({{ns "Timestamp"}}) AS first,
    max({{ns "Timestamp"}} + toInt64(Duration)) AS last
FROM {{.Traces}}
WHERE {{template "trace_rows.sql" .}}
