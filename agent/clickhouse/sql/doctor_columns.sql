SELECT database, table, name, type
FROM system.columns
WHERE database IN {databases:Array(String)} AND table IN {names:Array(String)}
ORDER BY database, table, position
LIMIT 10000
