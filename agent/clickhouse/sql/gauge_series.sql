{{template "series"}}{{template "series groups"}}
        WITH toUnixTimestamp64Milli(toDateTime64(TimeUnix, 3)) AS ms
        SELECT
            MetricName AS metric,
            cityHash64(ResourceAttributes, Attributes) AS written,
            intDiv({end_ms:Int64} - ms, {step_ms:Int64}) AS slot,
            false AS delta,
            false AS monotonic,
            any({{.Unit}}) AS unit,
            any(ResourceAttributes) AS raw_resource,
            any(Attributes) AS raw_attributes,
            emptyArrayFloat64() AS bounds,
            groupArray((ms, [Value])) AS raw_points
        FROM {{.Gauge}}
        {{template "series where" .}}
          AND isFinite(Value)
        GROUP BY metric, written, slot
{{template "series end"}}
