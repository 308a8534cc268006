package dashboard_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/atlhyper/observe/master/dashboard"
	"github.com/atlhyper/observe/redis/conn"
	"github.com/atlhyper/observe/redis/conn/conntest"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/redis/redistest"
	"github.com/atlhyper/observe/redis/snapshot"
	"github.com/atlhyper/observe/shared/codec"
	"github.com/atlhyper/observe/shared/fault"
	"github.com/atlhyper/observe/shared/model"
)

// replica is one master's end, on connections and a clock of its own.
type replica struct {
	*dashboard.Service

	reader  *snapshot.Reader
	metrics *prometheus.Registry
	// ahead is how far this process's clock was set; stopped, if not nil, is what it shows.
	ahead   atomic.Int64
	stopped atomic.Pointer[time.Time]
	// commands is what was sent to Redis.
	commands atomic.Int64
}

// option changes a replica before it starts.
type option func(*replica, *dashboard.Config)

// deaf loses all events, with checks often enough for a test.
func deaf(r *replica, cfg *dashboard.Config) {
	cfg.Reader = deafReader{r.reader}
	cfg.CheckInterval = 10 * time.Millisecond
}

type deafReader struct{ *snapshot.Reader }

func (deafReader) Events(ctx context.Context, _ func(key.Cluster), _ func()) { <-ctx.Done() }

// patient waits for what Redis says: how long that may take is not what is tested.
func patient(_ *replica, cfg *dashboard.Config) {
	cfg.ReadTimeout, cfg.OverdueWait = time.Minute, time.Minute
}

// idle does not run: it asks Redis on demand only, and waits.
func idle(r *replica, cfg *dashboard.Config) { patient(r, cfg) }

// newReplica returns a replica that is not running.
func newReplica(tb testing.TB, server *redistest.Server, opts ...option) *replica {
	tb.Helper()
	r := &replica{metrics: prometheus.NewRegistry()}
	clients := conntest.Open(tb, conn.Config{URL: server.URL(), Now: r.now})
	clients.Normal.AddHook(counter{&r.commands})
	r.reader = snapshot.NewReader(clients, snapshot.ReaderConfig{})
	cfg := dashboard.Config{Reader: r.reader, Now: r.now, ListNow: clients.Now, Metrics: r.metrics}
	for _, opt := range opts {
		opt(r, &cfg)
	}
	r.Service = newService(tb, cfg)
	return r
}

// startReplica returns one that runs.
func startReplica(tb testing.TB, server *redistest.Server, opts ...option) *replica {
	tb.Helper()
	r := newReplica(tb, server, opts...)
	run(tb, r.Service)
	return r
}

func (r *replica) now() time.Time {
	if at := r.stopped.Load(); at != nil {
		return *at
	}
	return time.Now().Add(time.Duration(r.ahead.Load()))
}

// pass lets time pass for this process.
func (r *replica) pass(d time.Duration) { r.ahead.Add(int64(d)) }

// stopClock keeps everything as fresh as it is.
func (r *replica) stopClock() {
	now := r.now()
	r.stopped.Store(&now)
}

// metric is the value of a metric, all its labels together.
func (r *replica) metric(tb testing.TB, name string) (sum float64) {
	tb.Helper()
	families, err := r.metrics.Gather()
	if err != nil {
		tb.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "atlhyper_"+name {
			for _, m := range f.GetMetric() {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return sum
}

// counter counts the commands that are sent.
type counter struct{ n *atomic.Int64 }

func (counter) DialHook(next redis.DialHook) redis.DialHook { return next }
func (c counter) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		c.n.Add(1)
		return next(ctx, cmd)
	}
}
func (c counter) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		c.n.Add(int64(len(cmds)))
		return next(ctx, cmds)
	}
}

// agent publishes whole numbers, which only grow.
type agent struct {
	tb      testing.TB
	clients *conn.Clients
	writer  *snapshot.Writer
}

func newAgent(tb testing.TB, server *redistest.Server, c key.Cluster, interval time.Duration) *agent {
	tb.Helper()
	clients := conntest.Open(tb, conn.Config{URL: server.URL()})
	a := &agent{tb: tb, clients: clients}
	var err error
	a.writer, err = snapshot.NewWriter(clients, snapshot.WriterConfig{Cluster: c, Instance: "agent-1", Interval: interval})
	if err != nil {
		tb.Fatal(err)
	}
	return a
}

func (a *agent) beat() {
	a.tb.Helper()
	if err := a.writer.Beat(a.tb.Context(), snapshot.Beat{Slots: 4}); err != nil {
		a.tb.Fatal(err)
	}
}

// publish publishes n as each of the sections, and a beat.
func (a *agent) publish(n int, sections ...model.Section) int64 {
	a.tb.Helper()
	a.beat()
	return a.publishAt(time.Now(), n, sections...)
}

func (a *agent) publishAt(at time.Time, n int, sections ...model.Section) int64 {
	a.tb.Helper()
	var updates []snapshot.Update
	for _, name := range sections {
		updates = append(updates, snapshot.Update{Name: name, Data: encode(a.tb, n), At: at})
	}
	p, err := a.writer.Publish(a.tb.Context(), updates)
	if err != nil {
		a.tb.Fatal(err)
	}
	return p.Seq
}

func encode(tb testing.TB, v any) []byte {
	tb.Helper()
	data, err := codec.Encode(v)
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

// get returns a section's answer and what it says.
func (r *replica) get(t *testing.T, name model.Section) (*dashboard.Answer, body, error) {
	t.Helper()
	answer, err := r.Section(t.Context(), cluster, name)
	if err != nil {
		if fe := (*fault.Error)(nil); !errors.As(err, &fe) {
			t.Fatalf("%v is none that users may read", err)
		}
		return nil, body{}, err
	}
	return answer, parse(t, answer), nil
}

// until waits for an answer that holds.
func (r *replica) until(t *testing.T, name model.Section, what string, holds func(body) bool) (answer *dashboard.Answer, b body) {
	t.Helper()
	redistest.Eventually(t, what, func() bool {
		var err error
		answer, b, err = r.get(t, name)
		return err == nil && holds(b)
	})
	return answer, b
}

// shows tells an answer that is fresh and has the value.
func shows(value string) func(body) bool {
	return func(b body) bool { return string(b.Data) == value && !*b.Meta.Stale }
}
