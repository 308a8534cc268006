// Package chdb serves the embedded ClickHouse engine, libchdb, over the
// ClickHouse HTTP interface, so that clickhouse-go, curl and the
// OpenTelemetry collector's exporter can talk to a real engine on a machine
// that has no ClickHouse server. It is there for tests, demos and load tests.
//
// It is NOT a server for production:
//
//   - There are no users and no passwords: whoever reaches the port may read
//     and drop everything, and read every file the process can. Listen on
//     127.0.0.1 only.
//   - The engine lives inside the process. A crash in it ends the process and
//     every request under way; nothing else. Run it as its own process
//     (cmd/chdb), never inside a program that should survive.
//   - There is no native TCP protocol, no replication, no clusters, no TLS, no
//     HTTP sessions (session_id is ignored: each request is a session of its
//     own) and no external tables.
//   - The engine gives every statement a query_id of its own, so
//     system.processes does not know the client's. The client's id stands in
//     the statement's text instead: "/* query_id: ID #N */".
//   - async_insert is accepted and runs as an ordinary insert.
//
// What it keeps of the real interface: every request is a fresh session with
// the database, settings and param_* of its URL; errors carry ClickHouse's
// codes, in the X-ClickHouse-Exception-Code header or, once rows are on their
// way, as an exception block at the end of the body; a client that hangs up
// cancels its statement in the engine; answers and inserts may be compressed
// (compress=1, decompress=1, Content-Encoding, enable_http_compression=1).
package chdb
