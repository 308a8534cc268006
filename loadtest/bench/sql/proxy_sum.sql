-- Scrapes of the proxies' counters in the seed.
INSERT INTO otel_metrics_sum
SELECT * EXCEPT scrape REPLACE (
    toDateTime({until} - {every} * scrape) AS TimeUnix,
    Value * (1 + {scrapes} - scrape) AS Value
)
FROM (SELECT *, arrayJoin(range({first}, {last})) AS scrape FROM {seed}.otel_metrics_sum WHERE ServiceName != 'node-exporter')
