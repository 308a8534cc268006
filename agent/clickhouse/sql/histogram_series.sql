{{template "series"}}
        WITH toUnixTimestamp64Milli(toDateTime64(TimeUnix, 3)) AS ms
        SELECT
            MetricName AS metric,
            cityHash64(ResourceAttributes, Attributes, ExplicitBounds, length(BucketCounts)) AS written,
            intDiv({to_ms:Int64} - ms, {step_ms:Int64}) AS slot,
            toBool({{.Temporality}} = 1) AS delta,
            true AS monotonic,
            any({{.Unit}}) AS unit,
            any(ResourceAttributes) AS raw_resource,
            any(Attributes) AS raw_attributes,
            any(ExplicitBounds) AS bounds,
            -- Count, sum, and the buckets cumulative over le, as Prometheus has them.
            groupArray((ms, arrayConcat([toFloat64(Count), Sum],
                                        arrayMap(n -> toFloat64(n), arrayCumSum(BucketCounts))))) AS raw_points
        FROM {{.Histogram}}
        {{template "series where" .}}
          AND isFinite(Sum)
        GROUP BY metric, written, slot, delta
{{template "series end"}}
