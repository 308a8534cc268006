package model

// SLOSummary is the section slo.summary: ingress services and mesh services
// together. A service is healthy from 99.9 percent success, warning from 99.
type SLOSummary struct {
	TotalServices    int64   `json:"totalServices"`
	HealthyServices  int64   `json:"healthyServices"`
	WarningServices  int64   `json:"warningServices"`
	CriticalServices int64   `json:"criticalServices"`
	AvgSuccessRate   float64 `json:"avgSuccessRate"` // 0..100
	TotalRPS         float64 `json:"totalRps"`
	AvgP99Ms         float64 `json:"avgP99Ms"`
}

// IngressSLO is one row of the section slo.ingress.
type IngressSLO struct {
	ServiceKey     string          `json:"serviceKey"` // as the proxy names it
	DisplayName    string          `json:"displayName"`
	RPS            float64         `json:"rps"`
	SuccessRate    float64         `json:"successRate"` // 0..100; 5xx is failure, 4xx is not
	ErrorRate      float64         `json:"errorRate"`   // 0..100
	P50Ms          float64         `json:"p50Ms"`
	P90Ms          float64         `json:"p90Ms"`
	P95Ms          float64         `json:"p95Ms"`
	P99Ms          float64         `json:"p99Ms"`
	AvgMs          float64         `json:"avgMs"`
	StatusCodes    []StatusCount   `json:"statusCodes"` // by code
	Methods        []MethodCount   `json:"methods"`     // by method
	LatencyBuckets []LatencyBucket `json:"latencyBuckets"`
	TotalRequests  int64           `json:"totalRequests"`
	TotalErrors    int64           `json:"totalErrors"`
}

// StatusCount is the requests of the window with one status code.
type StatusCount struct {
	Code  string `json:"code"`
	Count int64  `json:"count"`
}

// MethodCount is the requests of the window with one method.
type MethodCount struct {
	Method string `json:"method"`
	Count  int64  `json:"count"`
}

// LatencyBucket counts the requests at most LE milliseconds long and longer
// than the bucket before it (not cumulative). Requests beyond the highest
// finite bound are counted in no bucket: the total less the sum of the buckets.
type LatencyBucket struct {
	LE    float64 `json:"le"`
	Count int64   `json:"count"`
}

// MeshService is one row of the section slo.services, seen from the callee.
type MeshService struct {
	Namespace      string          `json:"namespace"`
	Name           string          `json:"name"`
	RPS            float64         `json:"rps"`
	SuccessRate    float64         `json:"successRate"` // 0..100
	P50Ms          float64         `json:"p50Ms"`
	P90Ms          float64         `json:"p90Ms"`
	P95Ms          float64         `json:"p95Ms"`
	P99Ms          float64         `json:"p99Ms"`
	AvgMs          float64         `json:"avgMs"`
	MTLSEnabled    bool            `json:"mtlsEnabled"` // any traffic was mutual TLS
	MTLSRate       float64         `json:"mtlsRate"`    // 0..1
	StatusCodes    []StatusCount   `json:"statusCodes"`
	LatencyBuckets []LatencyBucket `json:"latencyBuckets"`
}

// MeshEdge is one row of the section slo.edges.
type MeshEdge struct {
	SrcNamespace string  `json:"srcNamespace"`
	SrcName      string  `json:"srcName"`
	DstNamespace string  `json:"dstNamespace"`
	DstName      string  `json:"dstName"`
	RPS          float64 `json:"rps"`
	SuccessRate  float64 `json:"successRate"` // 0..100
	AvgMs        float64 `json:"avgMs"`
	P99Ms        float64 `json:"p99Ms"`
}

// SLOSeries is one service over time.
type SLOSeries struct {
	Namespace string     `json:"namespace,omitempty"`
	Name      string     `json:"name"`
	Points    []SLOPoint `json:"points"`
}

// SLOPoint is one interval, stamped with its end. An interval without requests
// has no point: its success rate is undefined.
type SLOPoint struct {
	Timestamp   Time    `json:"timestamp"`
	RPS         float64 `json:"rps"`
	SuccessRate float64 `json:"successRate"` // 0..100
	ErrorRate   float64 `json:"errorRate"`   // 0..100
	P50Ms       float64 `json:"p50Ms"`
	P99Ms       float64 `json:"p99Ms"`
}
