-- Scrapes of the proxies' histograms in the seed.
INSERT INTO otel_metrics_histogram
SELECT * EXCEPT scrape REPLACE (
    toDateTime({until} - {every} * scrape) AS TimeUnix,
    Count * (1 + {scrapes} - scrape) AS Count,
    Sum * (1 + {scrapes} - scrape) AS Sum,
    arrayMap(n -> n * (1 + {scrapes} - scrape), BucketCounts) AS BucketCounts
)
FROM (SELECT *, arrayJoin(range({first}, {last})) AS scrape FROM {seed}.otel_metrics_histogram)
