-- Scrapes of the gauges in the seed.
INSERT INTO otel_metrics_gauge
SELECT * EXCEPT (scrape) REPLACE (
    -- Nodes are scraped all over the interval.
    toDateTime({begin} + {every} * scrape + cityHash64(ResourceAttributes['server.address']) % {every}) AS TimeUnix,
    if(MetricName = 'node_time_seconds', toFloat64(TimeUnix), Value) AS Value
)
FROM (SELECT *, arrayJoin(range({first}, {last})) AS scrape FROM {seed}.otel_metrics_gauge)
