-- A panel of one node: the rate of each series, from its last and first sample.
SELECT Attributes, (argMax(Value, TimeUnix) - argMin(Value, TimeUnix)) / greatest(max(TimeUnix) - min(TimeUnix), 1)
FROM otel_metrics_sum
WHERE MetricName IN ({metrics})
  AND ResourceAttributes['server.address'] = {address}
  AND TimeUnix > toDateTime({from}) AND TimeUnix <= toDateTime({until})
GROUP BY Attributes
FORMAT TabSeparated
