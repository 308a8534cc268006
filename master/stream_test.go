package master_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/atlhyper/observe/master"
	"github.com/atlhyper/observe/redis/redistest"
	"github.com/atlhyper/observe/redis/snapshot"
	"github.com/atlhyper/observe/shared/model"
)

// events reads one stream of server-sent events.
type events struct {
	conn   net.Conn
	reader *bufio.Reader
	lastID string
}

type sent struct{ name, data string }

// stream opens a stream on a connection of its own.
func (r *replica) stream(t *testing.T, query, lastID string) *events {
	t.Helper()
	var dialer net.Dialer
	conn, err := dialer.DialContext(t.Context(), "tcp", strings.TrimPrefix(r.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	e := &events{conn: conn, lastID: lastID}
	t.Cleanup(func() { e.close(t) })
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.url+"/api/v2/observe/stream?cluster_id="+cluster+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Last-Event-ID", lastID)
	if err := req.Write(conn); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReaderSize(conn, 1024), req) //nolint:bodyclose // the connection is closed
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK {
		body, err := io.ReadAll(resp.Body)
		t.Fatalf("%d %s, %v", resp.StatusCode, body, err)
	}
	e.reader = bufio.NewReaderSize(resp.Body, 1024)
	return e
}

func (e *events) close(t *testing.T) {
	t.Helper()
	if err := e.conn.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
}

// until returns the first event that the condition holds for.
func (e *events) until(t *testing.T, what string, holds func(sent) bool) sent {
	t.Helper()
	if err := e.conn.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	var s sent
	for {
		line, err := e.reader.ReadString('\n')
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		line = strings.TrimSuffix(line, "\n")
		switch field, value, _ := strings.Cut(line, ": "); field {
		case "id":
			e.lastID = value
		case "event":
			s.name = value
		case "data":
			s.data += value + "\n"
		case "":
			if s.name != "" && holds(s) {
				return s
			}
			s = sent{}
		}
	}
}

func nodesNamed(name string) map[model.Section]any {
	return map[model.Section]any{model.SectionMetricsNodes: []model.NodeMetrics{{NodeName: name}}}
}

// shows tells whether an event brings the nodes with such a text in it.
func shows(text string) func(sent) bool {
	return func(s sent) bool { return s.name == "metrics.nodes" && strings.Contains(s.data, text) }
}

// What an agent publishes comes by the stream of any replica, as the endpoint has
// it; whoever changes the replica is sent only what changed.
func TestStreams(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	agent := startAgent(t, redis.URL(), scripted(t, nil))
	w := agent.slowWriter(t)
	publish(t, w, sections())
	one, two := startMaster(t, master.Config{Redis: redis.URL()}), startMaster(t, master.Config{Redis: redis.URL()})
	const nodesPath = "/api/v2/observe/metrics/nodes?cluster_id=" + cluster

	stream := one.stream(t, "", "")
	missing := sections()
	stream.until(t, "all sections", func(s sent) bool {
		if _, ok := missing[model.Section(s.name)]; !ok && s.name != "meta" {
			t.Errorf("unexpected: %+v", s)
		}
		delete(missing, model.Section(s.name))
		return len(missing) == 0
	})
	publish(t, w, nodesNamed("second"))
	got := stream.until(t, "the change", shows("second"))
	if body := one.get(t, nodesPath).body; string(body) != got.data {
		t.Errorf("the endpoint has\n%s, the stream\n%s", body, got.data)
	}

	// In another millisecond: times have no finer ones.
	publishOne(t, w, snapshot.Update{
		Name: model.SectionMetricsNodes, Data: encode(t, nodesNamed("second")[model.SectionMetricsNodes]),
		At: time.Now().Add(time.Second), Window: 15 * time.Minute,
	})
	meta := stream.until(t, "collected again", func(s sent) bool {
		if s.name == "metrics.nodes" {
			t.Errorf("data that is the same is sent again: %s", s.data)
		}
		return s.name == "meta"
	})
	var told struct {
		Section string
		Meta    struct{ CollectedAt string }
	}
	if err := json.Unmarshal([]byte(meta.data), &told); err != nil || told.Section != "metrics.nodes" ||
		!strings.Contains(string(one.get(t, nodesPath).body), `"collectedAt":"`+told.Meta.CollectedAt+`"`) {
		t.Errorf("meta %s, %v", meta.data, err)
	}

	other := two.stream(t, "", stream.lastID)
	metas := 0
	other.until(t, "a resumed stream", func(s sent) bool {
		if s.name != "meta" {
			t.Errorf("data that is known is sent again: %+v", s)
		}
		metas++
		return metas == len(sections())
	})
	publish(t, w, nodesNamed("third"))
	other.until(t, "the change on the other replica", shows("third"))

	agent.stop()
	redis.Stop()
	other.until(t, "Redis is gone", shows(`"stale":true`))
	two.end()
	if _, err := io.Copy(io.Discard, other.reader); err != nil {
		t.Errorf("the replica's end cut the stream: %v", err)
	}
}

// As many streams as a replica may have are all told of one publish.
func TestAThousandStreams(t *testing.T) {
	const most = 1000
	redis := redistest.Start(t)
	agent := startAgent(t, redis.URL(), scripted(t, nil))
	publish(t, agent.writer, nodesNamed("first"))
	m := startMaster(t, master.Config{Redis: redis.URL(), MaxStreams: most})
	streams := make([]*events, most)
	for i := range streams {
		streams[i] = m.stream(t, "&sections=metrics.nodes", "")
		streams[i].until(t, "what is there", shows("first"))
	}
	full := m.get(t, "/api/v2/observe/stream?sections=metrics.nodes&cluster_id="+cluster)
	if full.status != http.StatusTooManyRequests || full.code(t) != "queue_full" || full.header.Get("Retry-After") == "" {
		t.Errorf("one too many: %d %s", full.status, full.body)
	}
	publish(t, agent.writer, nodesNamed("second"))
	for i, s := range streams {
		s.until(t, fmt.Sprintf("stream %d", i), shows("second"))
	}
	metrics := m.get(t, "/metrics").body
	for _, want := range []string{"atlhyper_http_streams 1000", "atlhyper_http_streams_refused_total 1"} {
		if !strings.Contains(string(metrics), "\n"+want+"\n") {
			t.Errorf("no line %s", want)
		}
	}
}

// The fleet shows what the clusters' own endpoints show.
func TestFleet(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	agent := startAgent(t, redis.URL(), scripted(t, nil))
	publish(t, agent.slowWriter(t), sections())
	m := startMaster(t, master.Config{Redis: redis.URL()})
	var fleet struct {
		Data []struct {
			ID, Status string
			Nodes      *int64
			Overview   *struct {
				Data        json.RawMessage
				CollectedAt string
				Stale       bool
			}
		}
		Meta struct{ CollectedAt string }
	}
	var overview struct {
		Data json.RawMessage
		Meta struct{ CollectedAt string }
	}
	decode := func(path string, into any) {
		t.Helper()
		r := m.get(t, path)
		if err := json.Unmarshal(r.body, into); err != nil || r.status != http.StatusOK {
			t.Fatalf("%s: %d %s", path, r.status, r.body)
		}
	}
	// The list is gathered in the background.
	eventually(t, "the cluster is listed", func() bool {
		decode("/api/v2/fleet", &fleet)
		return len(fleet.Data) == 1
	})
	decode("/api/v2/observe/overview?cluster_id="+cluster, &overview)
	c := fleet.Data[0]
	if fleet.Meta.CollectedAt == "" || c.ID != cluster || c.Status != "online" || c.Nodes == nil || *c.Nodes != 2 || c.Overview == nil || c.Overview.Stale ||
		string(c.Overview.Data) != string(overview.Data) || c.Overview.CollectedAt != overview.Meta.CollectedAt {
		t.Errorf("%+v with %+v, want what the overview says: %+v", c, c.Overview, overview)
	}
}
