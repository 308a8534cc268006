-- The traces that started in a slice of time, have a matching span in the
-- searched range and hold as a whole what is asked of whole traces. All spans of
-- a chosen trace within the read window count, matching or not. Chosen ids are
-- bounded, for their memory; more of them stop the statement, since any of those
-- left out could be the first. GLOBAL is for Distributed tables, whose shards may each
-- have a part of a trace; on others it changes nothing.
SELECT
    TraceId AS id,
    min({{ns "Timestamp"}}) AS first,
    max({{ns "Timestamp"}} + toInt64(Duration)) - first AS duration
FROM {{.Traces}}
WHERE Timestamp >= fromUnixTimestamp64Nano({read_start:Int64})
  AND Timestamp < fromUnixTimestamp64Nano({read_end:Int64})
  AND TraceId GLOBAL IN (
      SELECT TraceId
      FROM (
          SELECT DISTINCT TraceId
          FROM {{.Traces}}
          WHERE Timestamp >= fromUnixTimestamp64Nano({match_start:Int64})
            AND Timestamp < fromUnixTimestamp64Nano({match_end:Int64})
            AND {{template "trace_filter.sql" .}}
            AND ({has_error:Int8} != 1 OR TraceId GLOBAL IN (
                SELECT TraceId
                FROM (
                    SELECT DISTINCT TraceId
                    FROM {{.Traces}}
                    WHERE Timestamp >= fromUnixTimestamp64Nano({read_start:Int64})
                      AND Timestamp < fromUnixTimestamp64Nano({read_end:Int64})
                      AND {{failed}}
                    LIMIT {max_traces:UInt64} + 1
                )
                WHERE throwIf(rowNumberInAllBlocks() >= {max_traces:UInt64}) = 0
            ))
          LIMIT {max_traces:UInt64} + 1
      )
      WHERE throwIf(rowNumberInAllBlocks() >= {max_traces:UInt64}) = 0
  )
GROUP BY id
HAVING first >= {first_from:Int64}
   AND first < {first_to:Int64}
   AND duration >= {min_duration:Int64}
   AND duration <= {max_duration:Int64}
   AND ({has_error:Int8} != 0 OR countIf({{failed}}) = 0)
   AND (if({sort:String} = 'duration', duration, first), id) < ({after_key:Int64}, {after_id:String})
ORDER BY if({sort:String} = 'duration', duration, first) DESC, id DESC
LIMIT {limit:UInt32}
