-- Who sends metrics. Stale rows count too: not every table has Flags.
SELECT
    MetricName,
    toInt64(count()),
    toUnixTimestamp64Milli(toDateTime64(max(TimeUnix), 3, 'UTC'))
FROM {database:Identifier}.{table:Identifier}
WHERE MetricName IN {metrics:Array(String)}
  AND TimeUnix >= fromUnixTimestamp64Nano({start:Int64})
  AND TimeUnix <= fromUnixTimestamp64Nano({end:Int64})
GROUP BY MetricName
ORDER BY MetricName
