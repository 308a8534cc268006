-- Of a table without rows in the window. A plain maximum: the exporter's tables
-- keep it in each part.
SELECT toInt64(count()), toUnixTimestamp64Milli(toDateTime64(max({time:Identifier}), 3, 'UTC'))
FROM {database:Identifier}.{table:Identifier}
