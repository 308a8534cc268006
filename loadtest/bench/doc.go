// Package bench measures what a collection cycle costs ClickHouse and the agent,
// as the number of nodes grows: make bench-collect. README.md beside this file
// says how to read what it prints.
//
// All that is compared is measured in one run, on the same tables: our sections,
// the naive way (a set of statements for each node), and the bound (bare grouped
// scans of the same rows).
package bench
