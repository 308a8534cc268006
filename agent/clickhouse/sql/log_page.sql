-- One page of records in the order (at, tie) descending, from a place in it on.
-- The inner statement finds the time of the page's last record by reading only
-- what the filters need; the tie-break, which reads whole records, is then taken
-- of the page's time alone. The records of the place's own time are not counted
-- there: some of them were on earlier pages.
WITH
    cityHash64(TraceId, SpanId, ServiceName, SeverityNumber, SeverityText, ScopeName, Body,
               {{whole "LogAttributes"}}, {{whole "ResourceAttributes"}}) AS tie,
    (
        SELECT min(Timestamp)
        FROM (
            SELECT Timestamp
            FROM {{.Logs}}
            WHERE {{template "log_rows.sql" .}}
              AND Timestamp < fromUnixTimestamp64Nano({from_at:Int64})
            ORDER BY toStartOfFiveMinutes(Timestamp) DESC, Timestamp DESC
            LIMIT {reach:UInt32}
        )
    ) AS oldest
SELECT
    {{ns "Timestamp"}} AS at,
    tie,
    -- Which of the copies it is: records that a collector sent twice are equal.
    toUInt32(row_number() OVER (PARTITION BY at, tie)) AS copy,
    TraceId,
    SpanId,
    if(SeverityNumber > 0, {{template "log_level.sql"}}, SeverityText),
    toInt64(SeverityNumber),
    {{template "log_service.sql" .}},
    Body,
    ScopeName,
    {{whole "LogAttributes"}},
    {{whole "ResourceAttributes"}}
FROM {{.Logs}}
WHERE {{template "log_rows.sql" .}}
  AND Timestamp >= oldest
  AND toStartOfFiveMinutes(Timestamp) >= toStartOfFiveMinutes(oldest)
{{- if .HasTimestampTime}}
  AND TimestampTime >= toDateTime(oldest)
{{- end}}
  AND (at, tie) <= ({from_at:Int64}, {from_tie:UInt64})
ORDER BY at DESC, tie DESC, copy
LIMIT {limit:UInt32} OFFSET {offset:UInt32}
