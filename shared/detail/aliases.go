package detail

// The names that the node series accepts beside raw metric names; the agent
// knows what they stand for.
const (
	MetricCPU         = "cpu"
	MetricMemory      = "memory"
	MetricDisk        = "disk"
	MetricNetwork     = "network"
	MetricLoad        = "load"
	MetricTemperature = "temperature"
)
