package model

// Service is one row of the section traces.services.
type Service struct {
	Name          string  `json:"name"`
	Namespace     string  `json:"namespace"`
	Environment   string  `json:"environment,omitempty"`
	SpanCount     int64   `json:"spanCount"`
	ErrorCount    int64   `json:"errorCount"`
	SuccessRate   float64 `json:"successRate"` // 0..1
	AvgDurationMs float64 `json:"avgDurationMs"`
	P50Ms         float64 `json:"p50Ms"`
	P99Ms         float64 `json:"p99Ms"`
	RPS           float64 `json:"rps"` // spans per second of the window
}

// NodeType is what a topology node is.
type NodeType string

// The types of topology nodes.
const (
	TypeService   NodeType = "service"
	TypeDatabase  NodeType = "database"
	TypeMessaging NodeType = "messaging"
	TypeExternal  NodeType = "external"
)

// Status is how a topology node does.
type Status string

// The statuses of topology nodes. Unknown is one without traffic.
const (
	StatusHealthy  Status = "healthy"
	StatusWarning  Status = "warning"
	StatusCritical Status = "critical"
	StatusUnknown  Status = "unknown"
)

// Topology is the section traces.topology. Every edge end is the id of a node.
type Topology struct {
	Nodes []TopologyNode `json:"nodes"` // by id
	Edges []TopologyEdge `json:"edges"` // by source, then target
}

// TopologyNode is a service or something that services call.
type TopologyNode struct {
	ID          string   `json:"id"`
	Name        string   `json:"name"`
	Namespace   string   `json:"namespace"`
	Type        NodeType `json:"type"`
	Status      Status   `json:"status"`
	RPS         float64  `json:"rps"`
	SuccessRate float64  `json:"successRate"` // 0..1
	P99Ms       float64  `json:"p99Ms"`
}

// TopologyEdge is the calls from one node to another.
type TopologyEdge struct {
	Source    string  `json:"source"`
	Target    string  `json:"target"`
	CallCount int64   `json:"callCount"`
	AvgMs     float64 `json:"avgMs"`
	ErrorRate float64 `json:"errorRate"` // 0..1
}

// TraceSummary is one row of a trace search, about the whole trace.
type TraceSummary struct {
	TraceID       string   `json:"traceId"`
	RootService   string   `json:"rootService"`
	RootOperation string   `json:"rootOperation"`
	Services      []string `json:"services"`   // by name
	DurationMs    float64  `json:"durationMs"` // last end minus first start
	SpanCount     int64    `json:"spanCount"`
	ServiceCount  int64    `json:"serviceCount"`
	HasError      bool     `json:"hasError"`
	ErrorType     string   `json:"errorType,omitempty"`
	ErrorMessage  string   `json:"errorMessage,omitempty"`
	Timestamp     Time     `json:"timestamp"` // first start
}

// Trace is a whole trace, spans by start.
type Trace struct {
	TraceID      string  `json:"traceId"`
	DurationMs   float64 `json:"durationMs"`
	ServiceCount int64   `json:"serviceCount"`
	SpanCount    int64   `json:"spanCount"`
	Spans        []Span  `json:"spans"`
}

// Span is one span of a trace. SpanKind and StatusCode are spelled
// SPAN_KIND_SERVER and STATUS_CODE_ERROR whatever the collector wrote.
type Span struct {
	Timestamp     Time         `json:"timestamp"`
	TraceID       string       `json:"traceId"`
	SpanID        string       `json:"spanId"`
	ParentSpanID  string       `json:"parentSpanId"`
	SpanName      string       `json:"spanName"`
	SpanKind      string       `json:"spanKind"`
	ServiceName   string       `json:"serviceName"`
	Duration      int64        `json:"duration"` // ns
	DurationMs    float64      `json:"durationMs"`
	StatusCode    string       `json:"statusCode"`
	StatusMessage string       `json:"statusMessage"`
	HTTP          *SpanHTTP    `json:"http,omitempty"`
	DB            *SpanDB      `json:"db,omitempty"`
	Resource      SpanResource `json:"resource"`
	Events        []SpanEvent  `json:"events"`
	Error         *SpanError   `json:"error,omitempty"`
}

// SpanHTTP is what a span says of an HTTP call, from either generation of the
// semantic conventions.
type SpanHTTP struct {
	Method     string `json:"method"`
	Route      string `json:"route,omitempty"`
	URL        string `json:"url,omitempty"`
	StatusCode int64  `json:"statusCode,omitempty"`
	Server     string `json:"server,omitempty"`
	ServerPort int64  `json:"serverPort,omitempty"`
}

// SpanDB is what a span says of a database call.
type SpanDB struct {
	System    string `json:"system"`
	Name      string `json:"name,omitempty"`
	Operation string `json:"operation,omitempty"`
	Table     string `json:"table,omitempty"`
	Statement string `json:"statement,omitempty"`
}

// SpanResource is where the span's process runs.
type SpanResource struct {
	ServiceVersion string `json:"serviceVersion,omitempty"`
	InstanceID     string `json:"instanceId,omitempty"`
	PodName        string `json:"podName,omitempty"`
	NodeName       string `json:"nodeName,omitempty"`
	DeploymentName string `json:"deploymentName,omitempty"`
	NamespaceName  string `json:"namespaceName,omitempty"`
	ClusterName    string `json:"clusterName,omitempty"`
}

// SpanEvent is one event of a span.
type SpanEvent struct {
	Timestamp  Time              `json:"timestamp"`
	Name       string            `json:"name"`
	Attributes map[string]string `json:"attributes"`
}

// SpanError is the span's exception event, or its status where it has none.
type SpanError struct {
	Type       string `json:"type"`
	Message    string `json:"message"`
	Stacktrace string `json:"stacktrace,omitempty"`
}
