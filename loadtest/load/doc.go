// Package load runs the load tests: redis-server, the agents of simulated clusters,
// three masters behind HAProxy, and k6 with the scripts of loadtest/k6, all on
// 127.0.0.1. It breaks what a script wants broken, checks k6's thresholds, and writes
// the report with plots from the samples that k6 kept. Nothing it started runs on
// when it returns.
package load
