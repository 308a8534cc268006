-- What whole traces, one of {sample}, say in which words.
SELECT
    toInt64(count()),
    arraySort(groupUniqArray(20)(toString(SpanKind))),
    arraySort(groupUniqArray(20)(toString(StatusCode))),
    sumForEach(arrayMap(k -> toInt64({{hasAttr "SpanAttributes" "k"}}), {span_names:Array(String)})),
    sumForEach(arrayMap(k -> toInt64({{hasAttr "ResourceAttributes" "k"}}), {resource_names:Array(String)}))
FROM {database:Identifier}.{table:Identifier}
WHERE Timestamp >= fromUnixTimestamp64Nano({start:Int64})
  AND Timestamp <= fromUnixTimestamp64Nano({end:Int64})
  AND cityHash64(TraceId) % {sample:UInt64} = 0
