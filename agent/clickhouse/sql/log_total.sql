SELECT toInt64(count())
FROM {{.Logs}}
WHERE {{template "log_rows.sql" .}}
