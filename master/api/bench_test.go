package api_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/atlhyper/observe/master/access"
	"github.com/atlhyper/observe/master/api"
	"github.com/atlhyper/observe/master/dashboard"
)

// BenchmarkBesideBare serves a warm dashboard over loopback connections that stay
// open, and the same bytes from a handler that does nothing else, in turns: the
// machine's mood is the same for both. Each iteration is one turn of both. It
// reports the median of api/bare in requests per second and, per request, what the
// API allocates and computes beyond the bare handler. With header=none the bare
// handler leaves out all of the header that a body can do without.
func BenchmarkBesideBare(b *testing.B) {
	for _, size := range []int{3 << 10, 20 << 10, 300 << 10} {
		for _, connections := range []int{1, 16} {
			for _, header := range []string{"same", "none"} {
				b.Run(fmt.Sprintf("bytes=%d/connections=%d/header=%s", size, connections, header), func(b *testing.B) {
					besideBare(b, bytes.Repeat([]byte("telemetry "), size/10), connections, header == "same")
				})
			}
		}
	}
}

const nodesURL = "/api/v2/observe/metrics/nodes?cluster_id=prod-1"

func besideBare(b *testing.B, body []byte, connections int, sameHeader bool) {
	b.Helper()
	backend := answering(b, body)
	a, err := api.New(api.Config{
		Dashboards: backend, Details: backend, Ready: func(context.Context) error { return nil }, Now: clocks,
		Metrics: prometheus.NewRegistry(), Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		b.Fatal(err)
	}
	header := http.Header{"Content-Type": {"application/json; charset=utf-8"}, "Content-Length": {strconv.Itoa(len(body))}}
	if sameHeader {
		w := httptest.NewRecorder()
		a.ServeHTTP(w, httptest.NewRequestWithContext(b.Context(), http.MethodGet, nodesURL, nil))
		header = w.Header()
	}
	bare := newLoad(b, connections, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		maps.Copy(w.Header(), header)
		if _, err := w.Write(body); err != nil {
			b.Error(err)
		}
	}))
	ours := newLoad(b, connections, a)

	const turn = 4000 // requests
	ours.run(b, turn)
	bare.run(b, turn)
	var ratios []float64
	var mallocs, allocated int64
	var cpu time.Duration
	for b.Loop() {
		base, own := bare.run(b, turn), ours.run(b, turn)
		ratios = append(ratios, float64(base.took)/float64(own.took))
		mallocs += own.mallocs - base.mallocs
		cpu += own.cpu - base.cpu
		allocated += own.allocated - base.allocated
	}
	slices.Sort(ratios)
	requests := float64(turn * len(ratios))
	b.ReportMetric(ratios[len(ratios)/2], "api/bare")
	b.ReportMetric(float64(mallocs)/requests, "allocs-beyond")
	b.ReportMetric(float64(allocated)/requests, "bytes-beyond")
	b.ReportMetric(float64(cpu.Nanoseconds())/requests, "cpu-ns-beyond")
	b.ReportMetric(0, "ns/op") // of both servers together: says nothing
}

// load is a server and callers that are cheap beside it.
type load struct{ callers []*caller }

type caller struct {
	conn    net.Conn
	reader  *bufio.Reader
	request []byte
}

func newLoad(b *testing.B, connections int, h http.Handler) *load {
	b.Helper()
	var listen net.ListenConfig
	listener, err := listen.Listen(b.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	server := &http.Server{
		Handler: h, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second,
		WriteTimeout: time.Minute, IdleTimeout: 2 * time.Minute,
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	b.Cleanup(func() {
		if err := server.Close(); err != nil {
			b.Error(err)
		}
		<-served
	})
	l := &load{}
	for range connections {
		var dialer net.Dialer
		conn, err := dialer.DialContext(b.Context(), "tcp", listener.Addr().String())
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() {
			if err := conn.Close(); err != nil {
				b.Error(err)
			}
		})
		l.callers = append(l.callers, &caller{conn, bufio.NewReaderSize(conn, 64<<10), []byte("GET " +
			nodesURL + " HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n")})
	}
	return l
}

type turnCost struct {
	took               time.Duration
	mallocs, allocated int64
	cpu                time.Duration // of callers and server
}

// run sends so many requests over all connections.
func (l *load) run(b *testing.B, requests int) turnCost {
	b.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	cpu := cpuTime(b)
	start := time.Now()
	var all sync.WaitGroup
	for _, c := range l.callers {
		all.Go(func() {
			for range requests / len(l.callers) {
				if err := c.call(); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	took := time.Since(start)
	runtime.ReadMemStats(&after)
	return turnCost{took, int64(after.Mallocs - before.Mallocs), int64(after.TotalAlloc - before.TotalAlloc), cpuTime(b) - cpu}
}

func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// call sends one request and reads its answer, without allocating.
func (c *caller) call() error {
	if _, err := c.conn.Write(c.request); err != nil {
		return err
	}
	length := 0
	for first := true; ; first = false {
		line, err := c.reader.ReadSlice('\n')
		if err != nil {
			return err
		}
		if first && !bytes.HasPrefix(line, []byte("HTTP/1.1 200")) {
			return fmt.Errorf("answer begins with %q", line)
		}
		if len(line) <= 2 {
			break
		}
		if value, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			for _, digit := range bytes.TrimSpace(value) {
				length = 10*length + int(digit-'0')
			}
		}
	}
	_, err := c.reader.Discard(length)
	return err
}

// sink is a writer that keeps nothing.
type sink struct{ header http.Header }

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) Write(p []byte) (int, error) { return len(p), nil }
func (s *sink) WriteHeader(int)             {}

// A warm dashboard costs its exchange and a new request id, in whatever encoding, and
// a body that the caller has already costs no more.
func TestWarmDashboardsAllocateAlmostNothing(t *testing.T) {
	backend := answering(t, large())
	a, err := api.New(api.Config{
		Dashboards: backend, Details: backend, Ready: func(context.Context) error { return nil }, Now: clocks,
		Metrics: prometheus.NewRegistry(), Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, header := range map[string]http.Header{
		"identity":  {},
		"zstd":      {"Accept-Encoding": {"gzip, deflate, br, zstd"}},
		"unchanged": {"Accept-Encoding": {"gzip"}, "If-None-Match": {`W/"other", W/"7-abc-gzip"`}},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, nodesURL, nil)
		r.Header = header
		w := &sink{header: make(http.Header)}
		if n := testing.AllocsPerRun(100, func() { a.ServeHTTP(w, r) }); n > 2 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// BenchmarkFleet encodes and compresses 1,000 clusters for each request: the list
// itself is in memory.
func BenchmarkFleet(b *testing.B) {
	nodes := int64(6)
	fleet := dashboard.Fleet{CollectedAt: clock()}
	for i := range 1000 {
		fleet.Clusters = append(fleet.Clusters, dashboard.FleetCluster{
			ID: fmt.Sprintf("prod-%d", i), Status: "online", LastSeen: "2026-03-01T12:00:00.123Z", Nodes: &nodes,
			Snapshot: dashboard.FleetSnapshot{Snapshot: dashboard.Snapshot{State: "live", Seq: 1772359200123, PublishedAt: "2026-03-01T12:00:00.123Z"}, AgeSeconds: 3.25},
			Overview: &dashboard.FleetOverview{CollectedAt: "2026-03-01T12:00:00.123Z", AgeSeconds: 3.5, Data: json.RawMessage(fmt.Sprintf(
				`{"totalServices":%d,"healthyServices":9,"totalRps":123.45,"avgSuccessRate":0.999,"avgP99Ms":87.5,"ingressServices":3,`+
					`"ingressAvgRps":12.5,"meshServices":8,"meshAvgMtls":0.97,"monitoredNodes":6,"avgCpuPct":41.2,"avgMemPct":63.1,"maxCpuPct":88.8,"maxMemPct":91.7}`, i))},
		})
	}
	backend := &backend{fleet: func(context.Context) (dashboard.Fleet, error) { return fleet, nil }}
	a, err := api.New(api.Config{
		Dashboards: backend, Details: backend, Ready: func(context.Context) error { return nil }, Now: clocks, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		b.Fatal(err)
	}
	for _, accept := range []string{"identity", "gzip", "zstd"} {
		b.Run(accept, func(b *testing.B) {
			r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/api/v2/fleet", nil)
			r.Header.Set("Accept-Encoding", accept)
			w := &sink{header: make(http.Header)}
			for b.Loop() {
				a.ServeHTTP(w, r)
			}
		})
	}
}

// BenchmarkWarmDashboard is what the API itself takes for a poll of a dashboard, by how
// its caller is known.
func BenchmarkWarmDashboard(b *testing.B) {
	for name, who := range pollers(b) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			poll := who(b)
			for b.Loop() {
				poll()
			}
		})
	}
}

// pollers ask for a warm dashboard as callers of each kind do.
func pollers(tb testing.TB) map[string]func(testing.TB) func() {
	tb.Helper()
	poller := func(auth access.Authenticator, header http.Header) func(testing.TB) func() {
		return func(tb testing.TB) func() {
			tb.Helper()
			backend := answering(tb, large())
			a, err := api.New(api.Config{
				Dashboards: backend, Details: backend, Ready: func(context.Context) error { return nil }, Now: clocks, Access: auth,
				Metrics: prometheus.NewRegistry(), Logger: slog.New(slog.DiscardHandler),
			})
			if err != nil {
				tb.Fatal(err)
			}
			r := httptest.NewRequestWithContext(tb.Context(), http.MethodGet, "/api/v2/observe/metrics/nodes?cluster_id=a-1", nil)
			r.Header = header
			w := &sink{header: make(http.Header)}
			check := httptest.NewRecorder()
			if a.ServeHTTP(check, r); check.Code != http.StatusOK {
				tb.Fatalf("%d %s", check.Code, check.Body)
			}
			return func() { a.ServeHTTP(w, r) }
		}
	}
	tokens := newTokens(tb)
	return map[string]func(testing.TB) func(){
		"none":          poller(nil, http.Header{}),
		"token":         poller(tokens, bearer("viewer-a")),
		"session":       poller(tokens, http.Header{"Cookie": {"__Host-atlhyper_session=" + tokenOf("viewer-a")}}),
		"token, others": poller(tokens, http.Header{"Authorization": bearer("viewer-a")["Authorization"], "Cookie": {"theme=dark"}}),
	}
}

// A caller is told by a look into a map: no more is allocated than when nobody is.
func TestTokensAllocateNothing(t *testing.T) {
	most := map[string]float64{"none": 2, "token": 2, "token, others": 2, "session": 5} // net/http parses cookies
	for name, who := range pollers(t) {
		poll := who(t)
		if n := testing.AllocsPerRun(100, poll); n > most[name] {
			t.Errorf("%s: %v allocations, want %v", name, n, most[name])
		}
	}
}
