SELECT name
FROM system.columns
WHERE database = if({database:String} = '', currentDatabase(), {database:String})
  AND table = {table:String}
