-- Tables under other names that have columns of the exporter's.
SELECT database, table, groupUniqArray(100)(name)
FROM system.columns
WHERE name IN {columns:Array(String)}
  AND database NOT IN ('system', 'information_schema', 'INFORMATION_SCHEMA')
GROUP BY database, table
HAVING count() >= 3
ORDER BY database != {database:String}, database, table
LIMIT 50
