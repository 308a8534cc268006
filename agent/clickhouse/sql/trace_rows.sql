TraceId = {trace_id:String}
AND Timestamp >= fromUnixTimestamp64Nano({start:Int64})
AND Timestamp < fromUnixTimestamp64Nano({end:Int64})
