CREATE TABLE otel_traces_trace_id_ts
(
    TraceId String,
    Start DateTime64(9),
    End DateTime64(9),
    INDEX idx_trace_id TraceId TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toDate(Start)
ORDER BY (TraceId, toUnixTimestamp(Start))
