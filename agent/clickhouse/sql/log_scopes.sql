SELECT
    ScopeName AS value,
    toInt64(count()) AS records
FROM {{.Logs}}
WHERE {{template "log_rows.sql" .}}
GROUP BY value
HAVING value != ''
ORDER BY records DESC, value
LIMIT 50
