package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/atlhyper/observe/agent"
	"github.com/atlhyper/observe/agent/clickhouse"
	"github.com/atlhyper/observe/loadtest/proc"
	"github.com/atlhyper/observe/redis/conn"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/redis/snapshot"
	"github.com/atlhyper/observe/shared/model"
)

// Job is what the process of an agent is to do: full cycles, one after the other,
// from ClickHouse to Redis, and nothing else, so that its memory is a cycle's.
type Job struct {
	DSN, Redis string
	// Until is the end of the cycles' windows, in Unix seconds.
	Until int64
	// Cycles to run.
	Cycles int
}

// Report is what became of them.
type Report struct {
	// CyclesMs is how long each took until all sections were encoded.
	CyclesMs []float64
	// PublishMs is how long each took to write what it had to Redis.
	PublishMs []float64
	// SectionBytes of the last cycle, as msgpack.
	SectionBytes int
	// PeakBytes is the most memory that the process ever had; 0 where the system
	// does not say.
	PeakBytes int64
}

// Run runs the cycles as the agent does.
func (j Job) Run(ctx context.Context) (_ Report, err error) {
	until := time.Unix(j.Until, 0)
	store, err := clickhouse.Open(clickhouse.Config{DSN: j.DSN, Clock: func() time.Time { return until }})
	if err != nil {
		return Report{}, err
	}
	clients, err := conn.Open(conn.Config{URL: j.Redis}) //nolint:contextcheck // it keeps the clock in step until Close
	if err != nil {
		return Report{}, errors.Join(err, store.Close())
	}
	defer func() { err = errors.Join(err, store.Close(), clients.Close()) }()
	writer, err := snapshot.NewWriter(clients, snapshot.WriterConfig{
		Cluster: key.Cluster("bench"), Instance: "bench", Interval: time.Minute,
	})
	if err != nil {
		return Report{}, err
	}
	var report Report
	for range j.Cycles {
		p := &publisher{Writer: writer, began: time.Now(), updates: make(map[model.Section]snapshot.Update)}
		if err := p.cycle(ctx, agent.Telemetry(store)); err != nil {
			return Report{}, err
		}
		if err := p.failed(); err != nil {
			return Report{}, err
		}
		report.SectionBytes = 0
		var took time.Duration
		for _, u := range p.updates {
			took = max(took, u.Took)
			report.SectionBytes += len(u.Data)
		}
		report.CyclesMs = append(report.CyclesMs, milliseconds(took))
		report.PublishMs = append(report.PublishMs, milliseconds(p.published))
	}
	report.PeakBytes, err = proc.PeakMemory(os.Getpid())
	return report, err
}

// sections is how many an agent publishes.
const sections = 9

// publisher ends the collector once every section of the first round is in Redis.
type publisher struct {
	*snapshot.Writer
	began     time.Time
	published time.Duration
	updates   map[model.Section]snapshot.Update
	end       context.CancelFunc
}

func (p *publisher) cycle(ctx context.Context, source agent.Source) error {
	ctx, p.end = context.WithCancel(ctx)
	defer p.end()
	// The second round would begin long after the first has ended.
	collector, err := source.Collector(agent.Config{Interval: time.Hour, SectionTimeout: 5 * time.Minute}, p)
	if err != nil {
		return err
	}
	return collector.Run(ctx)
}

// Publish implements collect.Publisher.
func (p *publisher) Publish(ctx context.Context, updates []snapshot.Update) (snapshot.Published, error) {
	began := time.Now()
	done, err := p.Writer.Publish(ctx, updates)
	p.published += time.Since(began)
	if err != nil {
		return done, err
	}
	for _, u := range updates {
		p.updates[u.Name] = u
	}
	if len(p.updates) == sections {
		p.end()
	}
	return done, nil
}

// failed is why a section has no value.
func (p *publisher) failed() error {
	if len(p.updates) != sections {
		return fmt.Errorf("%d of %d sections were published", len(p.updates), sections)
	}
	for name, u := range p.updates {
		if u.Err != "" {
			return fmt.Errorf("section %s: %s", name, u.Err)
		}
	}
	return nil
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func median(list []float64) float64 {
	sorted := slices.Sorted(slices.Values(list))
	return sorted[len(sorted)/2]
}
