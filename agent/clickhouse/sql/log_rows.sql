Timestamp >= fromUnixTimestamp64Nano({start:Int64})
AND Timestamp < fromUnixTimestamp64Nano({end:Int64})
-- The sorting key of the exporter's tables since v0.151 begins with this.
AND toStartOfFiveMinutes(Timestamp) >= toStartOfFiveMinutes(fromUnixTimestamp64Nano({start:Int64}))
AND toStartOfFiveMinutes(Timestamp) <= toStartOfFiveMinutes(fromUnixTimestamp64Nano({end:Int64}))
{{- if .HasTimestampTime}}
-- That of v0.107 to v0.150 has this, in seconds, and partitions by it.
AND TimestampTime >= toDateTime(fromUnixTimestamp64Nano({start:Int64}))
AND TimestampTime <= toDateTime(fromUnixTimestamp64Nano({end:Int64}))
{{- end}}
{{- if .HasTimestampDate}}
-- That of v0.104 to v0.106 has this besides, a day in the zone of the server.
AND TimestampDate >= toDate(fromUnixTimestamp64Nano({start:Int64})) - 1
AND TimestampDate <= toDate(fromUnixTimestamp64Nano({end:Int64})) + 1
{{- end}}
AND ({query:String} = '' OR positionCaseInsensitiveUTF8(Body, {query:String}) > 0)
-- The first condition is for the sorting key, the second exact.
AND ({service:String} = '' OR (ServiceName IN ({service:String}, '') AND {{template "log_service.sql" .}} = {service:String}))
AND ({level:String} = '' OR {{template "log_level.sql"}} = {level:String})
AND ({scope:String} = '' OR ScopeName = {scope:String})
AND ({trace_id:String} = '' OR TraceId = {trace_id:String})
AND ({span_id:String} = '' OR SpanId = {span_id:String})
