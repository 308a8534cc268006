Timestamp >= fromUnixTimestamp64Nano({start:Int64})
AND Timestamp < fromUnixTimestamp64Nano({end:Int64})
-- The sorting key of the exporter's tables since v0.151 begins with this.
AND toStartOfFiveMinutes(Timestamp) >= toStartOfFiveMinutes(fromUnixTimestamp64Nano({start:Int64}))
AND toStartOfFiveMinutes(Timestamp) <= toStartOfFiveMinutes(fromUnixTimestamp64Nano({end:Int64}))
AND ({query:String} = '' OR positionCaseInsensitiveUTF8(Body, {query:String}) > 0)
-- The first condition is for the sorting key, the second exact.
AND ({service:String} = '' OR (ServiceName IN ({service:String}, '') AND {{template "log_service.sql" .}} = {service:String}))
AND ({level:String} = '' OR {{template "log_level.sql"}} = {level:String})
AND ({scope:String} = '' OR ScopeName = {scope:String})
AND ({trace_id:String} = '' OR TraceId = {trace_id:String})
AND ({span_id:String} = '' OR SpanId = {span_id:String})
