SELECT
    toInt64(countIf({time:Identifier} <= fromUnixTimestamp64Nano({end:Int64}))),
    toInt64(countIf({time:Identifier} > fromUnixTimestamp64Nano({end:Int64}))),
    toUnixTimestamp64Milli(toDateTime64(max({time:Identifier}), 3, 'UTC'))
FROM {database:Identifier}.{table:Identifier}
WHERE {time:Identifier} >= fromUnixTimestamp64Nano({start:Int64})
