CREATE TABLE otel_logs
(
    Timestamp DateTime64(9, 'America/New_York'),
    TraceId Nullable(String),
    SpanId Nullable(String),
    SeverityText Nullable(String),
    SeverityNumber Nullable(Int32),
    ServiceName LowCardinality(Nullable(String)),
    Body Nullable(String),
    ResourceAttributes Map(String, Nullable(String)),
    ScopeName Nullable(String),
    LogAttributes Map(String, String),
    Tenant String DEFAULT 'one'
)
ENGINE = MergeTree
ORDER BY (Tenant, Timestamp)
