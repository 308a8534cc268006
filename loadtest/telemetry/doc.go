// Package telemetry writes believable OpenTelemetry rows into ClickHouse: rows
// that a real collector once wrote, moved in time. README.md describes what is
// in them.
//
// Load gives the captured rows, typed. Capture.Write inserts them once, moved
// by a fixed amount, for tests that compute the expected answer from the same
// rows. A Replayer writes them for ever, always up to now, joining the end of
// the capture to its beginning so that neither rates nor traces show the seam.
// CreateTables makes the tables, as clickhouseexporter v0.161 does.
package telemetry
