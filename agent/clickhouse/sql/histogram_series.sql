{{- /*
A series is a row for each run of samples with the same bounds: PromQL's series of
a bucket ends where its bound goes, and goes on where it comes back. Only of
increments the sum is needed.
*/ -}}
{{template "series" "arrayReduce('sumForEach', arrayPushFront(arrayFilter(v -> delta, vectors), arrayMap(v -> toFloat64(0), first_vector)))"}}
    SELECT
        metric, slot, delta, series, any_target, is_monotonic, metric_unit, any_resource, any_attributes,
        run[1].2 AS layout,
        arrayFirst(l -> l.1 = layout, layouts).2 AS any_bounds,
        arrayMap(p -> (p.1, p.3), run) AS points
    FROM
    (
        WITH
            {{template "series identity"}},
            cityHash64(ExplicitBounds, length(BucketCounts)) AS written_layout,
            -- Count, sum, and the buckets cumulative over le, as Prometheus has them.
            arrayConcat([toFloat64(Count), Sum], arrayMap(n -> toFloat64(n), arrayCumSum(BucketCounts))) AS vector,
            arraySort(groupArray((ms, written_layout, vector))) AS by_time,
            uniqExact(written_layout) > 1 AS changes,
            -- Two processes that share an identity may take turns for ever.
            if(changes AND arrayCount((p, q) -> p.2 != q.2, arrayPopFront(by_time), arrayPopBack(by_time)) > 100,
               arraySort(p -> p.2, by_time), by_time) AS in_order
        SELECT
            MetricName AS metric,
            intDiv({end_ms:Int64} - ms, {step_ms:Int64}) AS slot,
            toBool({{.Temporality}} = 1) AS delta,
            identity AS series,
            any(target) AS any_target,
            true AS is_monotonic,
            any({{.Unit}}) AS metric_unit,
            any(ResourceAttributes) AS any_resource,
            any(Attributes) AS any_attributes,
            groupUniqArray((written_layout, ExplicitBounds)) AS layouts,
            if(changes,
               arraySplit((p, begins) -> begins, in_order,
                          arrayPushFront(arrayMap((p, q) -> p.2 != q.2, arrayPopFront(in_order), arrayPopBack(in_order)), false)),
               [by_time]) AS runs
        FROM {{.Histogram}}
        {{template "series where" .}}
          AND isFinite(Sum)
        GROUP BY metric, series, slot, delta
    )
    ARRAY JOIN runs AS run
{{template "series end"}}
