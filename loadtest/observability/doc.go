// Package observability makes charts/atlhyper/observability/dashboard.json from a table
// of panels, and reads it and the alert rules beside it for tests: that they ask for
// nothing which masters and agents do not export, and that docs/runbook.md has a section
// for each alert. loadtest/promql parses their expressions with Prometheus's own parser.
//
// After a change of the table
//
//	go test ./loadtest/observability -run '^TestDashboardFile$' -update
//
// writes the file.
package observability
