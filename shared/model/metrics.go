package model

// MetricsSummary is the section metrics.summary: all nodes of a cluster at once.
// Percentages are 0..100, temperatures degrees Celsius.
type MetricsSummary struct {
	// TotalNodes is the number of Kubernetes nodes, or of nodes that sent
	// metrics in the window where there is no Kubernetes node list.
	TotalNodes int64 `json:"totalNodes"`
	// OnlineNodes sent metrics within the last two minutes.
	OnlineNodes int64   `json:"onlineNodes"`
	AvgCPUPct   float64 `json:"avgCpuPct"`
	AvgMemPct   float64 `json:"avgMemPct"`
	MaxCPUPct   float64 `json:"maxCpuPct"`
	MaxMemPct   float64 `json:"maxMemPct"`
	MaxCPUTemp  float64 `json:"maxCpuTemp"`
}

// NodeMetrics is one node of the section metrics.nodes and the answer of the
// node detail. Percentages are 0..100, rates are per second over the window.
type NodeMetrics struct {
	NodeName    string          `json:"nodeName"`
	NodeIP      string          `json:"nodeIP"`
	Timestamp   Time            `json:"timestamp"` // of the newest sample
	CPU         NodeCPU         `json:"cpu"`
	Memory      NodeMemory      `json:"memory"`
	Disks       []NodeDisk      `json:"disks"`    // by device, then mount point
	Networks    []NodeNetwork   `json:"networks"` // by interface
	Temperature NodeTemperature `json:"temperature"`
	PSI         NodePSI         `json:"psi"`
	TCP         NodeTCP         `json:"tcp"`
	System      NodeSystem      `json:"system"`
	VMStat      NodeVMStat      `json:"vmstat"`
	Softnet     NodeSoftnet     `json:"softnet"`
	Kernel      string          `json:"kernel,omitempty"`
	Uptime      int64           `json:"uptime,omitempty"` // seconds, on the node's own clock
}

// NodeCPU holds shares of the time of all cores that the samples cover (0..100)
// and load averages.
type NodeCPU struct {
	// Unknown is true where there are no two samples to take the shares of: they
	// are 0 and say nothing, and averages and maxima are without the node.
	Unknown   bool      `json:"unknown,omitempty"`
	UsagePct  float64   `json:"usagePct"` // all but idle, iowait and steal
	UserPct   float64   `json:"userPct"`
	SystemPct float64   `json:"systemPct"`
	IOWaitPct float64   `json:"iowaitPct"`
	Load1     float64   `json:"load1"`
	Load5     float64   `json:"load5"`
	Load15    float64   `json:"load15"`
	Cores     int64     `json:"cores"`
	FreqHz    []float64 `json:"freqHz,omitempty"` // per core, by core number
}

// NodeMemory holds bytes and shares.
type NodeMemory struct {
	TotalBytes     int64   `json:"totalBytes"`
	AvailableBytes int64   `json:"availableBytes"`
	FreeBytes      int64   `json:"freeBytes"`
	CachedBytes    int64   `json:"cachedBytes"`
	BuffersBytes   int64   `json:"buffersBytes"`
	UsagePct       float64 `json:"usagePct"` // 1 - available/total
	SwapTotalBytes int64   `json:"swapTotalBytes"`
	SwapFreeBytes  int64   `json:"swapFreeBytes"`
	SwapUsagePct   float64 `json:"swapUsagePct"`
}

// NodeDisk is one mounted device.
type NodeDisk struct {
	Device           string  `json:"device"`
	MountPoint       string  `json:"mountPoint"`
	FSType           string  `json:"fsType"`
	TotalBytes       int64   `json:"totalBytes"`
	AvailBytes       int64   `json:"availBytes"`
	UsagePct         float64 `json:"usagePct"` // 1 - avail/total
	ReadBytesPerSec  float64 `json:"readBytesPerSec"`
	WriteBytesPerSec float64 `json:"writeBytesPerSec"`
	ReadIOPS         float64 `json:"readIOPS"`
	WriteIOPS        float64 `json:"writeIOPS"`
	IOUtilPct        float64 `json:"ioUtilPct"` // share of time with IO under way
}

// NodeNetwork is one interface.
type NodeNetwork struct {
	Interface     string  `json:"interface"`
	Up            bool    `json:"up"`
	SpeedBps      int64   `json:"speedBps"` // bits per second; 0 when unknown
	MTU           int64   `json:"mtu"`      // bytes
	RxBytesPerSec float64 `json:"rxBytesPerSec"`
	TxBytesPerSec float64 `json:"txBytesPerSec"`
	RxPktPerSec   float64 `json:"rxPktPerSec"`
	TxPktPerSec   float64 `json:"txPktPerSec"`
	RxErrPerSec   float64 `json:"rxErrPerSec"`
	TxErrPerSec   float64 `json:"txErrPerSec"`
	RxDropPerSec  float64 `json:"rxDropPerSec"`
	TxDropPerSec  float64 `json:"txDropPerSec"`
}

// NodeTemperature is in degrees Celsius; zeros and no sensors where the node
// exposes none (most virtual machines).
type NodeTemperature struct {
	CPUTempC float64      `json:"cpuTempC"`
	CPUMaxC  float64      `json:"cpuMaxC"`
	CPUCritC float64      `json:"cpuCritC"`
	Sensors  []NodeSensor `json:"sensors"` // by chip, then sensor
}

// NodeSensor is one temperature sensor, degrees Celsius.
type NodeSensor struct {
	Chip     string  `json:"chip"`
	Sensor   string  `json:"sensor"`
	CurrentC float64 `json:"currentC"`
	MaxC     float64 `json:"maxC"`
	CritC    float64 `json:"critC"`
}

// NodePSI is pressure stall information: percent of time stalled.
type NodePSI struct {
	CPUSomePct float64 `json:"cpuSomePct"`
	MemSomePct float64 `json:"memSomePct"`
	MemFullPct float64 `json:"memFullPct"`
	IOSomePct  float64 `json:"ioSomePct"`
	IOFullPct  float64 `json:"ioFullPct"`
}

// NodeTCP counts sockets.
type NodeTCP struct {
	CurrEstab   int64 `json:"currEstab"`
	Alloc       int64 `json:"alloc"`
	InUse       int64 `json:"inUse"`
	TimeWait    int64 `json:"timeWait"`
	SocketsUsed int64 `json:"socketsUsed"`
}

// NodeSystem holds kernel tables and their limits.
type NodeSystem struct {
	ConntrackEntries int64 `json:"conntrackEntries"`
	ConntrackLimit   int64 `json:"conntrackLimit"`
	FilefdAllocated  int64 `json:"filefdAllocated"`
	FilefdMax        int64 `json:"filefdMax"`
	EntropyBits      int64 `json:"entropyBits"`
}

// NodeVMStat holds rates per second, pages for swap.
type NodeVMStat struct {
	PgFaultPerSec    float64 `json:"pgFaultPerSec"`
	PgMajFaultPerSec float64 `json:"pgMajFaultPerSec"`
	PswpInPerSec     float64 `json:"pswpInPerSec"`
	PswpOutPerSec    float64 `json:"pswpOutPerSec"`
}

// NodeSoftnet holds rates per second over all cores.
type NodeSoftnet struct {
	DroppedPerSec  float64 `json:"droppedPerSec"`
	SqueezedPerSec float64 `json:"squeezedPerSec"`
}

// NodeSeries is one metric of one node over time.
type NodeSeries struct {
	Metric string `json:"metric"`
	Unit   string `json:"unit"`
	// Points combines the series: the sum of rates, the mean of gauges.
	Points []Point         `json:"points"`
	Series []LabeledPoints `json:"series"`
}

// LabeledPoints is one series and its labels.
type LabeledPoints struct {
	Labels map[string]string `json:"labels"`
	Points []Point           `json:"points"`
}

// Point is a value at the end of its step.
type Point struct {
	Timestamp Time    `json:"timestamp"`
	Value     float64 `json:"value"`
}
