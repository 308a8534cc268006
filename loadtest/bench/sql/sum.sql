-- Nodes times scrapes of the counters in the seed; each grows at a speed of its own.
INSERT INTO otel_metrics_sum
SELECT * EXCEPT (node, scrape, address) REPLACE (
    map('server.address', address, 'server.port', '9100', 'service.instance.id', address || ':9100',
        'service.name', 'node-exporter', 'url.scheme', 'http') AS ResourceAttributes,
    toDateTime({until} - {every} * scrape - cityHash64(node) % {every}) AS TimeUnix,
    Value + 1000 + ({scrapes} - scrape) * {every} * (cityHash64(MetricName, Attributes, node) % 1000) / 8000 AS Value
)
FROM (
    SELECT
        *,
        arrayJoin(range({nodes})) AS node,
        arrayJoin(range({first}, {last})) AS scrape,
        '10.' || toString(1 + intDiv(node, 62500)) || '.' || toString(intDiv(node, 250) % 250) || '.' || toString(node % 250) AS address
    FROM {seed}.otel_metrics_sum
    WHERE ServiceName = 'node-exporter'
)
