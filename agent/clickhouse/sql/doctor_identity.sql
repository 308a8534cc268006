-- What tells nodes apart, and the machines that say so.
SELECT
    mapSort(mapFilter((k, v) -> has({resource_names:Array(String)}, k) AND v != '', ResourceAttributes)) AS resource,
    Attributes['exported_instance'] AS instance,
    groupUniqArrayIf(16)(Attributes['nodename'], MetricName = 'node_uname_info') AS machines,
    toInt64(count()) AS samples
FROM {database:Identifier}.{table:Identifier}
WHERE MetricName IN {metrics:Array(String)}
  AND TimeUnix >= fromUnixTimestamp64Nano({start:Int64})
  AND TimeUnix <= fromUnixTimestamp64Nano({end:Int64})
GROUP BY resource, instance
LIMIT 100000
