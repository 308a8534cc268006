{{- /*
The samples of nodes: what sql/series.sql gives for one step, without what nodes
need not: samples are plain numbers, and of each series only the names that are
asked for are told, as JSON that repeats and is read once.

A series is told apart by a sum of hashes over its attributes, which is the same in
whatever order they were written. Maps are taken apart before any(): it is dear for
a map and cheap for an array.
*/ -}}
{{define "node series" -}}
SELECT
    metric,
    delta,
    monotonic,
    toLowCardinality(toJSONString(mapFilter((k, v) -> has({resource_keys:Array(String)}, k),
                                            mapFromArrays(resource_names, resource_values)))) AS resource,
    toLowCardinality(toJSONString(mapFilter((k, v) -> has({attribute_keys:Array(String)}, k),
                                            mapFromArrays(attribute_names, attribute_values)))) AS attributes,
    toInt64(length(vals)) AS samples,
    times[1] AS first_ms,
    times[-1] AS last_ms,
    vals[1] AS first_value,
    vals[-1] AS last_value,
    arraySum((current, previous) -> if(current < previous, current, current - previous),
             arrayPopFront(vals), arrayPopBack(vals)) AS growth,
    arraySum(vals) AS total
FROM
(
    SELECT * EXCEPT kept, kept.1 AS times, kept.2 AS vals
    FROM
    (
        -- Two rows of one series and time are one sample written twice: the higher counts.
        -- Increments of one time may be those of two processes: only equal ones are one.
        SELECT
            * EXCEPT points,
            arraySort(points) AS sorted,
            if(delta, arrayCompact(sorted),
               arrayFilter((p, next_ms) -> p.1 != next_ms, sorted,
                           arrayPushBack(arrayPopFront(sorted.1), toInt64(-1)))) AS kept
        FROM
        (
            SELECT
                any(MetricName) AS metric,
                any(mapKeys(ResourceAttributes)) AS resource_names,
                any(mapValues(ResourceAttributes)) AS resource_values,
                any(mapKeys(Attributes)) AS attribute_names,
                any(mapValues(Attributes)) AS attribute_values,
                groupArray((toUnixTimestamp64Milli(toDateTime64(TimeUnix, 3)), Value)) AS points,
{{- end}}

{{define "node series key" -}}
MetricName,
                     arraySum(arrayMap((k, v) -> cityHash64(k, v), mapKeys(ResourceAttributes), mapValues(ResourceAttributes))),
                     arraySum(arrayMap((k, v) -> cityHash64(k, v), mapKeys(Attributes), mapValues(Attributes)))
{{- end}}

{{define "node series end" -}}
        )
    )
)
LIMIT {max_rows:UInt64}
{{- end}}
