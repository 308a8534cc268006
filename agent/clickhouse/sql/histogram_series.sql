{{- /*
A series is a row for each run of samples with the same bounds: PromQL's series of
a bucket ends where its bound goes, and goes on where it comes back.
*/ -}}
{{template "series"}}
    SELECT
        metric, slot, delta, series, any_target, is_monotonic, metric_unit, any_resource, any_attributes,
        run[1].2 AS layout,
        arrayFirst(l -> l.1 = layout, layouts).2 AS any_bounds,
        arrayMap(p -> (p.1, p.3), run) AS points
    FROM
    (
        WITH
            arraySort(groupArrayArray(raw_points)) AS by_time,
            -- Two processes that share an identity may take turns for ever.
            if(arrayUniq(arrayMap(p -> p.2, by_time)) > 1
               AND arrayCount((p, q) -> p.2 != q.2, arrayPopFront(by_time), arrayPopBack(by_time)) > 100,
               arraySort(p -> p.2, by_time), by_time) AS in_order
        SELECT
            metric,
            slot,
            delta,
            cityHash64(mapSort(raw_resource), mapSort(raw_attributes)) AS series,
            groupUniqArray((written_layout, bounds)) AS layouts,
            any(cityHash64(mapSort(raw_resource))) AS any_target,
            true AS is_monotonic,
            any(unit) AS metric_unit,
            any(raw_resource) AS any_resource,
            any(raw_attributes) AS any_attributes,
            arraySplit((p, begins) -> begins, in_order,
                       arrayPushFront(arrayMap((p, q) -> p.2 != q.2, arrayPopFront(in_order), arrayPopBack(in_order)), false)) AS runs
        FROM
        (
            WITH toUnixTimestamp64Milli(toDateTime64(TimeUnix, 3)) AS ms
            SELECT
                MetricName AS metric,
                cityHash64(ResourceAttributes, Attributes) AS written,
                cityHash64(ExplicitBounds, length(BucketCounts)) AS written_layout,
                intDiv({end_ms:Int64} - ms, {step_ms:Int64}) AS slot,
                toBool({{.Temporality}} = 1) AS delta,
                any({{.Unit}}) AS unit,
                any(ResourceAttributes) AS raw_resource,
                any(Attributes) AS raw_attributes,
                any(ExplicitBounds) AS bounds,
                -- Count, sum, and the buckets cumulative over le, as Prometheus has them.
                groupArray((ms, written_layout, arrayConcat([toFloat64(Count), Sum],
                                                            arrayMap(n -> toFloat64(n), arrayCumSum(BucketCounts))))) AS raw_points
            FROM {{.Histogram}}
            {{template "series where" .}}
              AND isFinite(Sum)
            GROUP BY metric, written, written_layout, slot, delta
        )
        GROUP BY metric, slot, delta, series
    )
    ARRAY JOIN runs AS run
)
LIMIT {max_rows:UInt64}
