{{- /*
The statements about metric points share what stands around their inner SELECT,
which gives for each series and each step:

    metric, slot, delta, series, any_target, is_monotonic, metric_unit, any_resource,
    any_attributes, any_bounds, layout,
    points Array(Tuple(Int64 milliseconds, Array(Float64) vector)) by time

Slot 0 is the step that ends at end_ms, 1 the one before it; steps are left-open.
*/ -}}
{{define "series" -}}
WITH
    -- Two rows of one series and time are one sample written twice: the higher counts.
    -- Increments of one time may be those of two processes: only equal ones are one.
    if(delta, arrayCompact(points),
       arrayFilter((p, next_ms) -> p.1 != next_ms, points,
                   arrayPushBack(arrayPopFront(arrayMap(p -> p.1, points)), toInt64(-1)))) AS samples,
    arrayMap(p -> p.2, samples) AS vectors
SELECT
    metric,
    slot,
    delta,
    series,
    any_target,
    is_monotonic,
    metric_unit,
    mapFilter((k, v) -> empty({resource_keys:Array(String)}) OR has({resource_keys:Array(String)}, k), any_resource) AS resource,
    mapFilter((k, v) -> empty({attribute_keys:Array(String)}) OR has({attribute_keys:Array(String)}, k), any_attributes) AS attributes,
    any_bounds,
    layout,
    length(vectors) AS sample_count,
    samples[1].1 AS first_ms,
    samples[-1].1 AS last_ms,
    vectors[1] AS first_vector,
    vectors[-1] AS last_vector,
    arrayReduce('sumForEach', arrayPushFront(
        arrayMap((current, previous) -> arrayMap((c, p) -> if(c < p, c, c - p), current, previous),
                 arrayPopFront(vectors), arrayPopBack(vectors)),
        arrayMap(v -> toFloat64(0), first_vector))) AS growth,
    {{.}} AS total
FROM
(
{{- end}}

{{define "series identity" -}}
toUnixTimestamp64Milli(toDateTime64(TimeUnix, 3)) AS ms,
        -- Sums of hashes: collectors before v0.116 wrote the keys of a map in random order.
        cityHash64(arraySum(arrayMap((k, v) -> cityHash64(k, v), mapKeys(ResourceAttributes), mapValues(ResourceAttributes)))) AS target,
        cityHash64(target, arraySum(arrayMap((k, v) -> cityHash64(k, v), mapKeys(Attributes), mapValues(Attributes)))) AS identity
{{- end}}

{{define "series end" -}}
)
LIMIT {max_rows:UInt64}
{{- end}}

{{define "series where" -}}
WHERE MetricName IN {metrics:Array(String)}
      AND TimeUnix > fromUnixTimestamp64Milli({from_ms:Int64})
      AND TimeUnix <= fromUnixTimestamp64Milli({to_ms:Int64})
      -- Part of the sorting key since v0.157; the hour is one of the server's zone.
      AND toStartOfHour(TimeUnix) >= fromUnixTimestamp64Milli({from_ms:Int64} - 3600000)
      AND bitAnd({{.Flags}}, 1) = 0
      AND (empty({any_of:Array(String)})
           OR hasAny(mapValues(ResourceAttributes), {any_of:Array(String)})
           OR hasAny(mapValues(Attributes), {any_of:Array(String)}))
{{- end}}

{{define "hours" -}}
-- How many rows there are in each hour, left-open.
SELECT intDiv(toUnixTimestamp64Nano(toDateTime64(TimeUnix, 9)) - 1, 3600000000000) AS since_1970, count() AS rows
FROM {{.}}
WHERE MetricName IN {metrics:Array(String)}
  AND TimeUnix > fromUnixTimestamp64Milli({from_ms:Int64})
  AND TimeUnix <= fromUnixTimestamp64Milli({to_ms:Int64})
GROUP BY since_1970
ORDER BY since_1970 DESC
{{- end}}
