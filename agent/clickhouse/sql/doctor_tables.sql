-- Where the configured tables are tables, views or Distributed. Only the latter's
-- engine is spelled out: others may hold addresses.
SELECT
    database,
    name,
    engine,
    if(engine = 'Distributed', engine_full, '')
FROM system.tables
WHERE database IN {databases:Array(String)} AND name IN {names:Array(String)}
LIMIT 200
