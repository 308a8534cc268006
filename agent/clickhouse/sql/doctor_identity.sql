-- Which attributes tell nodes apart, and how many sources do not: one resource
-- under which several machines report.
SELECT
    toInt64(sum(samples)),
    sumForEach(arrayMap(k -> if(resource[k] != '', samples, 0), {resource_names:Array(String)})),
    toInt64(sumIf(samples, instance != '')),
    toInt64(countIf(machines > 1))
FROM
(
    SELECT
        mapSort(ResourceAttributes) AS resource,
        Attributes['exported_instance'] AS instance,
        toInt64(count()) AS samples,
        uniqExactIf(Attributes['nodename'], MetricName = 'node_uname_info') AS machines
    FROM {database:Identifier}.{table:Identifier}
    WHERE MetricName IN {metrics:Array(String)}
      AND TimeUnix >= fromUnixTimestamp64Nano({start:Int64})
      AND TimeUnix <= fromUnixTimestamp64Nano({end:Int64})
    GROUP BY resource, instance
    LIMIT 100000
)
