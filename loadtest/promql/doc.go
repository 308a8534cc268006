// Package promql holds the numbers that the agent reports against those of
// Prometheus's own PromQL engine over the same samples. It is a module of its
// own, so that Prometheus stays out of the product's dependencies; README.md says
// what is compared and how closely. It also parses the PromQL of our alert rules and
// dashboard.
package promql
