package scale

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Measured is what bench.md says that one of each costs. Sizes are in bytes, processor
// times in seconds, both those of a cluster for a cluster.
type Measured struct {
	// Cores are those of the machine, Load its load averages before the run.
	Cores int
	Load  string
	// Clusters is how many there were, Interval the time between two publishes.
	Clusters int
	Interval time.Duration
	// Small is a cluster of 6 nodes, Large one of 100.
	Small, Large Size
	// Unchanged is a publish of the small one of which nothing has changed, Beats ten
	// beats, ChangedZstd the bytes of one of which all has with compressed sections.
	Unchanged, Beats Cost
	ChangedZstd      float64
	// Agent is what an agent costs each second when everything changes.
	Agent Agent
	// Follow is what a master costs each second that follows a cluster of which
	// everything changes, FollowUnchanged one of which nothing does.
	Follow, FollowUnchanged Follow
	// Detail is the processor time of a detail whose query takes none.
	Detail Detail
	// BelowZero are the figures that are differences and came out below zero, since
	// others used the machine: they count as 0.
	BelowZero []string
}

// Size is what depends on the number of nodes of a cluster.
type Size struct {
	// Memory is what the snapshot, meta and beats take in Redis, MemoryZstd the same
	// with compressed sections, Values the sections alone.
	Memory, MemoryZstd, Values float64
	// Changed is a publish of which all has changed.
	Changed Cost
	// Whole is the processor time of a master for a request, NotModified for one that
	// is answered by 304.
	Whole, NotModified float64
}

// Cost is what Redis receives and the processor time that it takes.
type Cost struct{ Bytes, Processor float64 }

// Agent is a second of an agent: bytes into and out of Redis and its processor time;
// and its connections with what the redis-server keeps for them.
type Agent struct{ In, Out, Redis, Connections, Memory float64 }

// Follow is a second of a master that follows a cluster: bytes into and out of Redis,
// its processor time and the master's; and what the master holds.
type Follow struct{ In, Out, Redis, Master, Memory float64 }

// Detail is the processor time of each that takes part.
type Detail struct{ Master, Agent, Redis float64 }

// Units of the columns.
const (
	one   = 1
	kilo  = 1e3
	micro = 1e-6
)

// result is where a figure of the bench goes.
type result struct {
	into         *float64
	line, column string
	unit         float64
}

// results are all figures that anything follows from.
func (m *Measured) results() []result {
	list := append(m.Small.results(6), m.Large.results(100)...)
	const agent, follow, unchanged, detail = "e/changed/agents", "e/changed/master", "e/unchanged/master", "b/50/http"
	return append(list,
		result{&m.Unchanged.Bytes, "d/6/plain/unchanged", "bytes", one},
		result{&m.Unchanged.Processor, "d/6/plain/unchanged", "CPU µs", micro},
		result{&m.Beats.Bytes, "d/6/plain/beats", "bytes", one},
		result{&m.Beats.Processor, "d/6/plain/beats", "CPU µs", micro},
		result{&m.ChangedZstd, "d/6/zstd/changed", "bytes", one},
		result{&m.Agent.In, agent, "bytes in/s", one},
		result{&m.Agent.Out, agent, "bytes out/s", one},
		result{&m.Agent.Redis, agent, "Redis CPU µs/s", micro},
		result{&m.Agent.Connections, agent, "connections", one},
		result{&m.Agent.Memory, agent, "their KB", kilo},
		result{&m.Follow.In, follow, "bytes in/s", one},
		result{&m.Follow.Out, follow, "bytes out/s", one},
		result{&m.Follow.Redis, follow, "Redis CPU µs/s", micro},
		result{&m.Follow.Master, follow, "process CPU µs/s", micro},
		result{&m.Follow.Memory, follow, "memory KB", kilo},
		result{&m.FollowUnchanged.In, unchanged, "bytes in/s", one},
		result{&m.FollowUnchanged.Out, unchanged, "bytes out/s", one},
		result{&m.FollowUnchanged.Redis, unchanged, "Redis CPU µs/s", micro},
		result{&m.FollowUnchanged.Master, unchanged, "process CPU µs/s", micro},
		result{&m.Detail.Master, detail, "CPU master", micro},
		result{&m.Detail.Agent, detail, "agent", micro},
		result{&m.Detail.Redis, detail, "Redis", micro},
	)
}

func (s *Size) results(nodes int) []result {
	n := strconv.Itoa(nodes)
	a, plain := "a/"+n, "d/"+n+"/plain"
	return []result{
		{&s.Memory, plain + "/memory", "bytes", one},
		{&s.MemoryZstd, "d/" + n + "/zstd/memory", "bytes", one},
		{&s.Values, plain + "/values", "bytes", one},
		{&s.Changed.Bytes, plain + "/changed", "bytes", one},
		{&s.Changed.Processor, plain + "/changed", "CPU µs", micro},
		{&s.Whole, a + "/16/master", "CPU server", micro},
		{&s.NotModified, a + "/304/master", "CPU server", micro},
	}
}

// Lines are the names of the lines that the bench must have.
func Lines() []string {
	var names []string
	seen := make(map[string]bool)
	for _, r := range new(Measured).results() {
		if !seen[r.line] {
			seen[r.line] = true
			names = append(names, r.line)
		}
	}
	return names
}

// Read takes the figures from the text of bench.md. Its error names every line and
// column that is not there.
func Read(bench string) (Measured, error) {
	d, err := parse(bench)
	if err != nil {
		return Measured{}, err
	}
	m := Measured{Cores: d.cores, Load: d.load, Clusters: d.clusters, Interval: d.interval}
	var missing []error
	for _, r := range m.results() {
		v, err := d.figure(r.line, r.column)
		if err != nil {
			missing = append(missing, err)
			continue
		}
		if v < 0 {
			m.BelowZero = append(m.BelowZero, fmt.Sprintf("`%s` (%s)", r.line, r.column))
			v = 0
		}
		*r.into = v * r.unit
	}
	return m, errors.Join(missing...)
}

// Busy tells whether the load average of the five minutes before the run was over the
// number of cores.
func (m Measured) Busy() bool {
	averages := strings.Fields(m.Load)
	if len(averages) < 2 {
		return false
	}
	load, err := strconv.ParseFloat(averages[1], 64)
	return err == nil && load > float64(m.Cores)
}
