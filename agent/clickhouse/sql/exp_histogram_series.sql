{{- /*
A series of exponential histograms, and each step, with the samples that its
growth depends on: the first, the last, and both of every pair between which
something may have been reset or rescaled. Between all others the growth is the
difference. Of increments it is their sum, at the lowest of their scales.
Buckets are what is above base^key and at most base^(key + 1); empty ones are left out.
*/ -}}
WITH
    -- Two rows of one series and time are one sample written twice: the higher counts.
    -- Increments of one time may be those of two processes: only equal ones are one.
    if(delta, arrayCompact(points),
       arrayFilter((p, next_ms) -> p.1 != next_ms, points,
                   arrayPushBack(arrayPopFront(arrayMap(p -> p.1, points)), toInt64(-1)))) AS samples,
    arrayMap((c, p) -> c.2 < p.2 OR c.4 < p.4 OR c.5 != p.5
                    OR c.6 != p.6 OR length(c.7) != length(p.7)
                    OR c.8 != p.8 OR length(c.9) != length(p.9)
                    OR arrayExists((a, b) -> a < b, c.7, arrayResize(p.7, length(c.7)))
                    OR arrayExists((a, b) -> a < b, c.9, arrayResize(p.9, length(c.9))),
             arrayPopFront(samples), arrayPopBack(samples)) AS differs,
    arrayFilter((s, from_before, to_next) -> NOT delta AND (from_before OR to_next),
                samples, arrayPushFront(differs, 1), arrayPushBack(differs, 1)) AS kept,
    arrayFilter(s -> delta, samples) AS increments,
    arrayMin(arrayMap(s -> s.5, increments)) AS lowest,
    arrayReduce('sumMap', arrayMap(s -> arrayMap(i -> toInt64(floor((s.6 + i) / exp2(s.5 - lowest))), range(length(s.7))), increments),
                          arrayMap(s -> s.7, increments)) AS summed,
    arrayReduce('sumMap', arrayMap(s -> arrayMap(i -> toInt64(floor((s.8 + i) / exp2(s.5 - lowest))), range(length(s.9))), increments),
                          arrayMap(s -> s.9, increments)) AS summed_negative,
    arrayConcat(
        arrayMap(s -> (s.2, s.3, s.4, toInt64(s.5),
                       arrayFilter((k, n) -> n > 0, arrayMap(i -> toInt64(s.6) + i, range(length(s.7))), s.7), arrayFilter(n -> n > 0, s.7),
                       arrayFilter((k, n) -> n > 0, arrayMap(i -> toInt64(s.8) + i, range(length(s.9))), s.9), arrayFilter(n -> n > 0, s.9)),
                 kept),
        if(empty(increments), [],
           [(arraySum(s -> s.2, increments), arraySum(s -> s.3, increments), arraySum(s -> s.4, increments), toInt64(lowest),
             summed.1, summed.2, summed_negative.1, summed_negative.2)])) AS telling
SELECT
    metric,
    slot,
    delta,
    series,
    any_target,
    metric_unit,
    mapFilter((k, v) -> empty({resource_keys:Array(String)}) OR has({resource_keys:Array(String)}, k), any_resource) AS resource,
    mapFilter((k, v) -> empty({attribute_keys:Array(String)}) OR has({attribute_keys:Array(String)}, k), any_attributes) AS attributes,
    length(samples) AS sample_count,
    samples[1].1 AS first_ms,
    samples[-1].1 AS last_ms,
    arrayMap(t -> t.1, telling) AS counts,
    arrayMap(t -> t.2, telling) AS sums,
    arrayMap(t -> t.3, telling) AS zeros,
    arrayMap(t -> t.4, telling) AS scales,
    arrayMap(t -> t.5, telling) AS positive_keys,
    arrayMap(t -> t.6, telling) AS positive_counts,
    arrayMap(t -> t.7, telling) AS negative_keys,
    arrayMap(t -> t.8, telling) AS negative_counts
FROM
(
    WITH {{template "series identity"}}
    SELECT
        MetricName AS metric,
        intDiv({end_ms:Int64} - ms, {step_ms:Int64}) AS slot,
        toBool({{.Temporality}} = 1) AS delta,
        identity AS series,
        any(target) AS any_target,
        any({{.Unit}}) AS metric_unit,
        any(ResourceAttributes) AS any_resource,
        any(Attributes) AS any_attributes,
        arraySort(groupArray((ms, toFloat64(Count), Sum, toFloat64(ZeroCount), Scale, PositiveOffset, PositiveBucketCounts,
                              NegativeOffset, NegativeBucketCounts))) AS points
    FROM {{.ExpHistogram}}
    {{template "series where" .}}
      AND isFinite(Sum)
    GROUP BY metric, series, slot, delta
{{template "series end"}}
