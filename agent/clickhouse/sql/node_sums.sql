{{template "node series"}}
                any(toBool({{.Temporality}} = 1)) AS delta,
                toBool(any({{.Monotonic}})) AS monotonic
            FROM {{.Sum}}
            {{template "series where" .}}
              AND isFinite(Value)
            GROUP BY cityHash64({{.Temporality}} = 1, {{template "node series key"}})
{{template "node series end"}}
