CREATE TABLE otel_traces
(
    Timestamp DateTime64(9, 'Asia/Tokyo'),
    TraceId FixedString(32),
    SpanId String,
    ParentSpanId Nullable(String),
    SpanName LowCardinality(Nullable(String)),
    SpanKind Enum8('Unspecified' = 0, 'Internal' = 1, 'Server' = 2, 'Client' = 3, 'Producer' = 4, 'Consumer' = 5, '' = 6, 'SPAN_KIND_SERVER' = 7),
    ServiceName Nullable(String),
    ResourceAttributes Map(String, String),
    SpanAttributes Map(String, Nullable(String)),
    Duration Nullable(Int64),
    StatusCode LowCardinality(Nullable(String)),
    StatusMessage Nullable(String),
    Tenant String DEFAULT 'one',
    Seconds Float64 ALIAS Duration / 1e9,
    Events Nested (Timestamp DateTime64(9), Name String, Attributes Map(String, Nullable(String)))
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(Timestamp)
ORDER BY (Tenant, Timestamp)
