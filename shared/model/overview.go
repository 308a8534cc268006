package model

// Overview is the section otel.overview: one line about a cluster's telemetry,
// computed from the rows of the other sections.
type Overview struct {
	TotalServices   int64   `json:"totalServices"`
	HealthyServices int64   `json:"healthyServices"`
	TotalRPS        float64 `json:"totalRps"`
	AvgSuccessRate  float64 `json:"avgSuccessRate"` // 0..1
	AvgP99Ms        float64 `json:"avgP99Ms"`
	IngressServices int64   `json:"ingressServices"`
	IngressAvgRPS   float64 `json:"ingressAvgRps"`
	MeshServices    int64   `json:"meshServices"`
	MeshAvgMTLS     float64 `json:"meshAvgMtls"` // 0..1
	MonitoredNodes  int64   `json:"monitoredNodes"`
	AvgCPUPct       float64 `json:"avgCpuPct"`
	AvgMemPct       float64 `json:"avgMemPct"`
	MaxCPUPct       float64 `json:"maxCpuPct"`
	MaxMemPct       float64 `json:"maxMemPct"`
}
