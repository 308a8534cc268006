-- A panel of one node: the newest sample of each series.
SELECT Attributes, argMax(Value, TimeUnix)
FROM otel_metrics_gauge
WHERE MetricName IN ({metrics})
  AND ResourceAttributes['server.address'] = {address}
  AND TimeUnix > toDateTime({from}) AND TimeUnix <= toDateTime({until})
GROUP BY Attributes
FORMAT TabSeparated
