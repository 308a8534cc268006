// Package reference answers the questions of the HTTP API from the captured rows
// themselves, in plain and slow Go: one loop over the samples of one series at a
// time, spans and log records filtered and counted by hand. The end-to-end test
// compares what the masters return with it.
//
// It shares no code and no SQL with the agent. Rates and quantiles are
// transcribed from PromQL (prometheus/prometheus v3.16, promql/functions.go
// extrapolatedRate and promql/quantile.go BucketQuantile); the rest is written
// from the documented meaning of the API's fields.
package reference
