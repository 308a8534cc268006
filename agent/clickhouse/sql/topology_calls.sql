-- Calls that leave the instrumented services: client and producer spans that no
-- server or consumer span answers, by what they call. One row for each target
-- over all callers (total = 1, caller empty), one for each caller and target.
--
-- A callee's span may be written seconds after the caller's, so a call that
-- could still be answered by a service (no database) counts only if it started
-- before {settled}. GLOBAL is for Distributed tables, whose shards may each have
-- one side of a call; on others it changes nothing.
SELECT
    type,
    system,
    target,
    caller_namespace,
    caller_name,
    toUInt8(grouping(caller_name)) AS total,
    toInt64(count()) AS calls,
    toInt64(countIf(failed)) AS errors,
    avg(duration) / 1e6 AS avg_ms,
    quantile(0.99)(duration) / 1e6 AS p99_ms
FROM (
    SELECT
        {{attr "ResourceAttributes" .ServiceNamespace}} AS caller_namespace,
        {{service}} AS caller_name,
        {{failed}} AS failed,
        Duration AS duration,
        Timestamp AS started,
        {{attr "SpanAttributes" .DBSystem}} AS db,
        {{attr "SpanAttributes" .MessagingSys}} AS messaging,
        {{attr "SpanAttributes" .DBName}} AS db_name,
        {{attr "SpanAttributes" .PeerService}} AS peer,
        {{attr "SpanAttributes" .ServerAddress}} AS address,
        {{attr "SpanAttributes" .PeerAddress}} AS ip,
        multiIf(db != '', 'database', messaging != '', 'messaging', 'external') AS type,
        multiIf(db != '',
                transform(db, {old_systems:Array(String)}, {new_systems:Array(String)}, db),
                messaging) AS system,
        multiIf(db != '' AND db_name != '' AND NOT match(db_name, '^[0-9]+$'), db_name,
                messaging != '' AND {{attr "SpanAttributes" .Destination}} != '', {{attr "SpanAttributes" .Destination}},
                peer != '', peer,
                address != '', address,
                domain({{attr "SpanAttributes" .HTTPURL}}) != '', domain({{attr "SpanAttributes" .HTTPURL}}),
                {{attr "SpanAttributes" .HTTPHost}} != '', {{attr "SpanAttributes" .HTTPHost}},
                ip != '', ip,
                {{attr "SpanAttributes" .RPCService}} != '', {{attr "SpanAttributes" .RPCService}},
                -- package.Service/Method, of the new generation.
                extract({{attr "SpanAttributes" .RPCMethod}}, '^/?([^/]+)/')) AS target
    FROM {{.Traces}}
    WHERE Timestamp >= fromUnixTimestamp64Nano({start:Int64})
      AND Timestamp < fromUnixTimestamp64Nano({end:Int64})
      AND {{kinds "Client" "Producer"}}
      AND (TraceId, SpanId) GLOBAL NOT IN (
          SELECT TraceId, ParentSpanId
          FROM {{.Traces}}
          WHERE Timestamp >= fromUnixTimestamp64Nano({start:Int64} - {margin:Int64})
            AND Timestamp < fromUnixTimestamp64Nano({end:Int64} + {margin:Int64})
            AND ParentSpanId != ''
            AND {{kinds "Server" "Consumer"}}
      )
)
WHERE (system != '' OR target != '')
  AND (type = 'database' OR started < fromUnixTimestamp64Nano({settled:Int64}))
GROUP BY GROUPING SETS ((type, system, target), (type, system, target, caller_namespace, caller_name))
ORDER BY total DESC, calls DESC, type, system, target, caller_namespace, caller_name
LIMIT {max_rows:UInt64} BY total
