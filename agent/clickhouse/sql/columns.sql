-- The columns of all tables. An empty database is that of the connection.
SELECT database, toBool(database = currentDatabase()), table, name, type
FROM system.columns
WHERE has(arrayMap(d -> if(d = '', currentDatabase(), d), {databases:Array(String)}), database)
  AND table IN {names:Array(String)}
  AND default_kind != 'EPHEMERAL'
