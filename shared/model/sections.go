package model

// Section is the name of a section: a field of the cluster's snapshot hash.
type Section string

// The sections that agents collect from ClickHouse. Each comment gives the type
// of the value.
const (
	SectionMetricsSummary Section = "metrics.summary" // MetricsSummary
	SectionMetricsNodes   Section = "metrics.nodes"   // []NodeMetrics, by name
	SectionTracesServices Section = "traces.services" // []Service, by namespace, then name
	SectionTracesTopology Section = "traces.topology" // Topology
	SectionSLOSummary     Section = "slo.summary"     // SLOSummary
	SectionSLOIngress     Section = "slo.ingress"     // []IngressSLO, by key
	SectionSLOServices    Section = "slo.services"    // []MeshService, by namespace, then name
	SectionSLOEdges       Section = "slo.edges"       // []MeshEdge, by source, then destination
	SectionOverview       Section = "otel.overview"   // Overview
)
