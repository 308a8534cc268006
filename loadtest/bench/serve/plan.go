package serve

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/atlhyper/observe/loadtest/bench"
	"github.com/atlhyper/observe/loadtest/proc"
)

// Plan is what is measured, and how long.
type Plan struct {
	// Redis and Spare are URLs of two empty redis-servers, each of this bench's alone:
	// the second one is for what is counted at the server. Required.
	Redis, Spare string
	// Master is the product's binary; "" runs the same in a process of the bench's.
	Master string
	// Dir is for files of the run. Required.
	Dir string
	// Profile is the directory that profiles of the masters, which then run in processes
	// of the bench's, and of the agents that answer details are written to; "" for none.
	Profile string
	// Rounds is how often each figure is measured; medians are shown.
	Rounds int
	// Length is how long a closed loop runs each time.
	Length time.Duration
	// Nodes are the sizes of the clusters whose nodes are asked for.
	Nodes []int
	// Connections are the numbers of callers of dashboards.
	Connections []int
	// InFlight are the numbers of callers of details.
	InFlight []int
	// Clusters is how many there are where costs for each cluster are counted.
	Clusters int
	// Interval is between two publishes of an agent.
	Interval time.Duration
	// Intervals is how many of them long it is counted what clusters cost that nobody
	// asks for.
	Intervals int
	// Parts are those to measure, of Parts().
	Parts []string
	// Progress is told what is measured now. Required.
	Progress io.Writer
}

// The parts of the bench.
const (
	partDashboards = "dashboards"
	partDetails    = "details"
	partCodec      = "codec"
	partRedis      = "redis"
	partSteady     = "steady"
)

// Parts are all that there is to measure.
func Parts() []string {
	return []string{partDashboards, partDetails, partCodec, partRedis, partSteady}
}

// Report is what was measured.
type Report struct {
	// Load is the load average when the measurement began: what others did.
	Load    string
	Began   time.Time
	Took    time.Duration
	Rounds  int
	Length  time.Duration
	Tables  []Table
	Targets []bench.Target
}

// Table is the figures of one part.
type Table struct {
	Title string
	// Notes say how to read it.
	Notes   []string
	Columns []string
	Rows    []Row
}

// Row is a line of a table. Its ID is the same in every run: package scale takes its
// figures from it, and docs/scale.md refers to it.
type Row struct {
	ID    string
	Cells []string
}

func (t *Table) add(id string, cells ...string) { t.Rows = append(t.Rows, Row{id, cells}) }

// Measure measures all parts of the plan.
func (p Plan) Measure(ctx context.Context) (Report, error) {
	r := Report{Load: proc.LoadAverage(), Began: time.Now(), Rounds: p.Rounds, Length: p.Length}
	for _, part := range []struct {
		name    string
		measure func(context.Context) ([]Table, []bench.Target, error)
	}{
		{partDashboards, p.dashboards},
		{partDetails, p.details},
		{partCodec, p.codec},
		{partRedis, p.redis},
		{partSteady, p.steady},
	} {
		if !slices.Contains(p.Parts, part.name) {
			continue
		}
		tables, targets, err := part.measure(ctx)
		if err != nil {
			return Report{}, fmt.Errorf("%s: %w", part.name, err)
		}
		r.Tables = append(r.Tables, tables...)
		r.Targets = append(r.Targets, targets...)
	}
	r.Took = time.Since(r.Began)
	return r, nil
}

// say tells what is measured now; who does not listen misses nothing else.
func (p Plan) say(format string, args ...any) error {
	_, err := fmt.Fprintf(p.Progress, "%s  "+format+"\n", append([]any{time.Now().Format(time.TimeOnly)}, args...)...)
	return err
}

// number writes a figure with the digits that mean something.
func number(v float64) string {
	switch {
	case v >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	default:
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
}
