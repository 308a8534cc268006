-- Scrapes of the counters in the seed, whose value is their speed.
INSERT INTO otel_metrics_sum
SELECT * EXCEPT (scrape) REPLACE (
    toDateTime({begin} + {every} * scrape + cityHash64(ResourceAttributes['server.address']) % {every}) AS TimeUnix,
    -- They have been counting for a day.
    Value * (86400 + {every} * scrape) AS Value
)
FROM (SELECT *, arrayJoin(range({first}, {last})) AS scrape FROM {seed}.otel_metrics_sum)
