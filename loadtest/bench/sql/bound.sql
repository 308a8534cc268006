-- A bare grouped scan: what it costs to read the rows of the window and to tell
-- their series apart, without any formula, and without sending them.
SELECT count(), sum(samples), sum(low), sum(high), sum(length(ResourceAttributes)), sum(length(Attributes)), uniq(MetricName)
FROM (
    SELECT MetricName, ResourceAttributes, Attributes, count() AS samples, min(Value) AS low, max(Value) AS high
    FROM {table}
    WHERE {rows} AND TimeUnix > toDateTime({from}) AND TimeUnix <= toDateTime({until})
    GROUP BY MetricName, ResourceAttributes, Attributes
)
FORMAT TabSeparated
