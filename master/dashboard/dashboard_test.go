package dashboard_test

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

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

func TestMain(m *testing.M) { redistest.VerifyTestMain(m) }

const cluster = key.Cluster("prod-1")

// house is a Redis with an agent's end and a master's.
type house struct {
	redis   *redistest.Server
	clients *conn.Clients
	writer  *snapshot.Writer
	reader  *snapshot.Reader
	service *dashboard.Service
}

func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{redis: redistest.Start(t)}
	clients := conntest.Open(t, conn.Config{URL: h.redis.URL()})
	h.clients = clients
	var err error
	h.writer, err = snapshot.NewWriter(clients, snapshot.WriterConfig{Cluster: cluster, Instance: "agent-1", Version: "v1"})
	if err != nil {
		t.Fatal(err)
	}
	h.reader = snapshot.NewReader(clients, snapshot.ReaderConfig{})
	h.service = newService(t, waiting(h.reader))
	run(t, h.service)
	return h
}

// waiting waits for what Redis says: how long that may take is not what is tested.
func waiting(reader dashboard.Reader) dashboard.Config {
	return dashboard.Config{Reader: reader, ReadTimeout: time.Minute, OverdueWait: time.Minute}
}

func newService(tb testing.TB, cfg dashboard.Config) *dashboard.Service {
	tb.Helper()
	s, err := dashboard.New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// run keeps what the service holds up to date until the test ends.
func run(tb testing.TB, s *dashboard.Service) {
	tb.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	tb.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			tb.Errorf("Run: %v", err)
		}
	})
}

// publish publishes one section and beats; a nil value is a failed collection.
func (h *house) publish(t *testing.T, name model.Section, value any, failure string) {
	t.Helper()
	h.put(t, name, value, failure)
	h.beat(t)
}

// put publishes one section, without a beat: the cluster's status stays what it is.
func (h *house) put(t *testing.T, name model.Section, value any, failure string) {
	t.Helper()
	update := snapshot.Update{Name: name, At: time.Now(), Err: failure, Window: 15 * time.Minute,
		Reads: snapshot.Reads{Statements: 3, Rows: 40_000, Bytes: 5_000_000}}
	if value != nil {
		data, err := codec.Encode(value)
		if err != nil {
			t.Fatal(err)
		}
		update.Data = data
	}
	if _, err := h.writer.Publish(t.Context(), []snapshot.Update{update}); err != nil {
		t.Fatal(err)
	}
}

func (h *house) beat(t *testing.T) {
	t.Helper()
	if err := h.writer.Beat(t.Context(), snapshot.Beat{Version: "v1", Slots: 16, Busy: 2, StartedAt: time.Now()}); err != nil {
		t.Fatal(err)
	}
}

// online waits for what the service says of the cluster while its agent beats: a beat
// counts for 4 s, which a slow machine may need to ask.
func (h *house) online(t *testing.T) (c dashboard.Cluster) {
	t.Helper()
	redistest.Eventually(t, "the cluster is online", func() bool {
		h.beat(t)
		var err error
		if c, err = h.service.Cluster(t.Context(), cluster); err != nil {
			t.Fatal(err)
		}
		return c.Status == "online"
	})
	return c
}

type body struct {
	Message string
	Data    json.RawMessage
	Meta    struct {
		ClusterID     string
		CollectedAt   time.Time
		WindowSeconds int64
		Seq           int64
		Stale         *bool
		Error         string
		ClusterStatus string
	}
}

func (h *house) section(t *testing.T, name model.Section) (*dashboard.Answer, body) {
	t.Helper()
	answer, err := h.service.Section(t.Context(), cluster, name)
	if err != nil {
		t.Fatal(err)
	}
	return answer, parse(t, answer)
}

func parse(t *testing.T, answer *dashboard.Answer) (b body) {
	t.Helper()
	if err := json.Unmarshal(answer.Body(), &b); err != nil {
		t.Fatalf("%v in %s", err, answer.Body())
	}
	return b
}

// once waits for an answer that holds, as the next publish reaches the service.
func (h *house) once(t *testing.T, name model.Section, what string, holds func(body) bool) (answer *dashboard.Answer, b body) {
	t.Helper()
	redistest.Eventually(t, what, func() bool {
		answer, b = h.section(t, name)
		return holds(b)
	})
	return answer, b
}

func TestSectionsAreServedAsTheyLie(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	want := []model.Service{{Name: "cart <b>", Namespace: "shop", SpanCount: 7, SuccessRate: 0.5}, {Name: "é"}}
	h.publish(t, model.SectionTracesServices, want, "")
	answer, b := h.section(t, model.SectionTracesServices)

	var got []model.Service
	if err := json.Unmarshal(b.Data, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if b.Message != "ok" || b.Meta.ClusterID != string(cluster) || b.Meta.WindowSeconds != 900 || b.Meta.Seq == 0 ||
		b.Meta.Stale == nil || *b.Meta.Stale || b.Meta.Error != "" {
		t.Errorf("meta %+v", b.Meta)
	}
	if !b.Meta.CollectedAt.Equal(answer.CollectedAt()) || answer.Window() != 15*time.Minute {
		t.Errorf("answer says %s, %s; body says %s", answer.CollectedAt(), answer.Window(), b.Meta.CollectedAt)
	}
}

// A tag stands for the bytes: the same bytes have the same tag on every replica,
// and whatever changes a byte changes the tag.
func TestETagsFollowTheBytes(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	summary := model.MetricsSummary{TotalNodes: 3}
	h.put(t, model.SectionMetricsSummary, summary, "")
	first, old := h.section(t, model.SectionMetricsSummary)

	other, err := newService(t, waiting(h.reader)).Section(t.Context(), cluster, model.SectionMetricsSummary)
	if err != nil || other.ETag() != first.ETag() || string(other.Body()) != string(first.Body()) {
		t.Errorf("another replica: %v, tag %q and %q", err, other.ETag(), first.ETag())
	}

	h.put(t, model.SectionMetricsSummary, nil, "clickhouse: code 241")
	failed, _ := h.once(t, model.SectionMetricsSummary, "the collection failed", func(b body) bool {
		return *b.Meta.Stale && b.Meta.Error == "clickhouse: code 241"
	})
	if !failed.CollectedAt().Equal(first.CollectedAt()) {
		t.Errorf("a failed collection moved collectedAt from %s to %s", first.CollectedAt(), failed.CollectedAt())
	}
	if failed.ETag() == first.ETag() {
		t.Error("the body says stale, the tag says nothing changed")
	}

	summary.TotalNodes = 4
	h.put(t, model.SectionMetricsSummary, summary, "")
	changed, b := h.once(t, model.SectionMetricsSummary, "there is another value", func(b body) bool { return string(b.Data) != string(old.Data) })
	if changed.ETag() == first.ETag() || changed.ETag() == failed.ETag() || *b.Meta.Stale {
		t.Errorf("after another value: tag %q, meta %+v", changed.ETag(), b.Meta)
	}
}

func TestWhyThereIsNoAnswer(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ask := func() error {
		_, err := h.service.Section(t.Context(), cluster, model.SectionSLOEdges)
		return err
	}
	if err := ask(); !fault.Is(err, fault.ClusterUnknown) {
		t.Errorf("nothing there: %v", err)
	}
	h.publish(t, model.SectionMetricsNodes, []model.NodeMetrics{}, "")
	if err := ask(); !fault.Is(err, fault.NotReady) {
		t.Errorf("another section there: %v", err)
	}
	// Bytes that no writer of ours would write.
	c := h.redis.Client(t)
	h.publish(t, model.SectionSLOEdges, []model.MeshEdge{}, "")
	if err := c.HSet(t.Context(), cluster.Snapshot(), string(model.SectionSLOEdges), "\xc1").Err(); err != nil {
		t.Fatal(err)
	}
	if err := ask(); !fault.Is(err, fault.StoreUnavailable) {
		t.Errorf("unreadable: %v", err)
	}
	h.redis.Stop()
	if err := ask(); !fault.Is(err, fault.StoreUnavailable) {
		t.Errorf("Redis gone: %v", err)
	}
}

func TestClusters(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	if _, err := h.service.Cluster(t.Context(), cluster); !fault.Is(err, fault.ClusterUnknown) {
		t.Errorf("nothing there: %v", err)
	}
	h.publish(t, model.SectionMetricsNodes, []model.NodeMetrics{}, "")
	c, err := h.service.Cluster(t.Context(), cluster)
	if err != nil {
		t.Fatal(err)
	}
	if c.Nodes != nil || c.Pods != nil {
		t.Errorf("nodes %v, pods %v before anything says so", c.Nodes, c.Pods)
	}

	h.publish(t, model.SectionMetricsSummary, model.MetricsSummary{TotalNodes: 6}, "")
	h.publish(t, model.SectionSLOEdges, nil, "no such table")
	c = h.online(t)
	if c.ID != string(cluster) || c.LastSeen == "" || c.Nodes == nil || *c.Nodes != 6 {
		t.Errorf("cluster %+v", c)
	}
	if len(c.Agents) != 1 || c.Agents[0].Instance != "agent-1" || c.Agents[0].Version != "v1" || !c.Agents[0].Live ||
		c.Agents[0].Slots != 16 || c.Agents[0].Busy != 2 || c.Agents[0].LastBeat == "" || c.Agents[0].StartedAt == "" {
		t.Errorf("agents %+v", c.Agents)
	}
	if s := c.Sections[model.SectionMetricsSummary]; s.At == "" || s.Stale || s.Bytes == 0 || s.Seq == 0 || s.AgeSeconds < 0 {
		t.Errorf("metrics.summary %+v", s)
	}
	if s := c.Sections[model.SectionMetricsSummary]; s.Statements != 3 || s.RowsRead != 40_000 || s.BytesRead != 5_000_000 {
		t.Errorf("metrics.summary was read at the cost of %+v", s)
	}
	if s := c.Sections[model.SectionSLOEdges]; s.At != "" || !s.Stale || s.Error != "no such table" {
		t.Errorf("slo.edges %+v", s)
	}

	h.redis.Stop()
	if _, err := h.service.Clusters(t.Context()); !fault.Is(err, fault.StoreUnavailable) {
		t.Errorf("Redis gone: %v", err)
	}
}

// A newer agent's encoding, or junk, in one section of one cluster hides that
// cluster's node count and nothing else.
func TestAnUnreadableSummaryDoesNotHideTheClusters(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.publish(t, model.SectionMetricsSummary, model.MetricsSummary{TotalNodes: 6}, "")
	codecOf := key.Field(model.SectionMetricsSummary, key.FieldCodec)
	if err := h.redis.Client(t).HSet(t.Context(), cluster.Meta(), codecOf, "invented").Err(); err != nil {
		t.Fatal(err)
	}
	if _, err := h.reader.Section(t.Context(), cluster, model.SectionMetricsSummary); err == nil {
		t.Fatal("the section can be read: the test tests nothing")
	}
	if c := h.online(t); c.Nodes != nil {
		t.Errorf("cluster %+v; want it without a node count", c)
	}
	if _, err := h.service.Clusters(t.Context()); err != nil {
		t.Errorf("the list: %v", err)
	}
}

// gated is the real reader behind a gate.
type gated struct {
	*snapshot.Reader
	reads   atomic.Int64
	entered chan struct{}
	open    chan struct{}
}

func (g *gated) Refresh(ctx context.Context, asks []snapshot.Ask) []snapshot.View {
	g.reads.Add(1)
	g.entered <- struct{}{}
	select {
	case <-g.open:
	case <-ctx.Done():
	}
	return g.Reader.Refresh(ctx, asks)
}

func TestConcurrentReadersShareARead(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.publish(t, model.SectionSLOEdges, []model.MeshEdge{}, "")
	g := &gated{Reader: h.reader, entered: make(chan struct{}, 100), open: make(chan struct{})}
	service := newService(t, waiting(g))

	const readers = 20
	answers := make(chan *dashboard.Answer, readers)
	var joining sync.WaitGroup
	for range readers {
		joining.Add(1)
		ctx := &joiningCtx{Context: t.Context(), joined: sync.OnceFunc(joining.Done)}
		go func() {
			answer, err := service.Section(ctx, cluster, model.SectionSLOEdges)
			if err != nil {
				t.Error(err)
			}
			answers <- answer
		}()
	}
	<-g.entered
	joining.Wait()
	close(g.open)
	first := <-answers
	for range readers - 1 {
		if answer := <-answers; answer != first {
			t.Error("a reader got an answer of its own")
		}
	}
	if n := g.reads.Load(); n != 1 {
		t.Errorf("%d reads, want 1", n)
	}
}

// joiningCtx tells when somebody waits on it, which readers do once they joined.
type joiningCtx struct {
	context.Context
	joined func()
}

func (c *joiningCtx) Done() <-chan struct{} {
	c.joined()
	return c.Context.Done()
}

// What was read on demand ends by itself, whoever has left.
func TestARedisThatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	g := &gated{Reader: h.reader, entered: make(chan struct{}, 1), open: make(chan struct{})}
	s, err := dashboard.New(dashboard.Config{Reader: g, ReadTimeout: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Section(t.Context(), cluster, model.SectionSLOEdges); !fault.Is(err, fault.StoreUnavailable) {
		t.Errorf("%v, want store_unavailable", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Section(ctx, cluster, model.SectionSLOEdges); !errors.Is(err, context.Canceled) {
		t.Errorf("%v for a caller that left", err)
	}
}
