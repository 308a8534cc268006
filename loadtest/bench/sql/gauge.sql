-- Nodes times scrapes of the gauges in the seed.
INSERT INTO otel_metrics_gauge
SELECT * EXCEPT (node, scrape, address) REPLACE (
    map('server.address', address, 'server.port', '9100', 'service.instance.id', address || ':9100',
        'service.name', 'node-exporter', 'url.scheme', 'http') AS ResourceAttributes,
    if(MetricName = 'node_uname_info', mapUpdate(Attributes, map('nodename', 'node-' || toString(node))), Attributes) AS Attributes,
    -- Nodes are scraped all over the interval.
    toDateTime({until} - {every} * scrape - cityHash64(node) % {every}) AS TimeUnix,
    if(MetricName = 'node_time_seconds', toFloat64(TimeUnix), Value) AS Value
)
FROM (
    SELECT
        *,
        arrayJoin(range({nodes})) AS node,
        arrayJoin(range({first}, {last})) AS scrape,
        '10.' || toString(1 + intDiv(node, 62500)) || '.' || toString(intDiv(node, 250) % 250) || '.' || toString(node % 250) AS address
    FROM {seed}.otel_metrics_gauge
)
