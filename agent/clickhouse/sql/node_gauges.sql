{{template "node series"}}
                false AS delta,
                false AS monotonic
            FROM {{.Gauge}}
            {{template "series where" .}}
              AND isFinite(Value)
            GROUP BY cityHash64({{template "node series key"}})
{{template "node series end"}}
