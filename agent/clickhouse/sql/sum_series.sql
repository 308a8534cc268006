{{template "series" "arrayReduce('sumForEach', vectors)"}}
    WITH {{template "series identity"}}
    SELECT
        MetricName AS metric,
        intDiv({end_ms:Int64} - ms, {step_ms:Int64}) AS slot,
        toBool({{.Temporality}} = 1) AS delta,
        identity AS series,
        any(target) AS any_target,
        toBool(any({{.Monotonic}})) AS is_monotonic,
        any({{.Unit}}) AS metric_unit,
        any(ResourceAttributes) AS any_resource,
        any(Attributes) AS any_attributes,
        emptyArrayFloat64() AS any_bounds,
        toUInt64(0) AS layout,
        arraySort(groupArray((ms, [Value]))) AS points
    FROM {{.Sum}}
    {{template "series where" .}}
      AND isFinite(Value)
    GROUP BY metric, series, slot, delta
{{template "series end"}}
