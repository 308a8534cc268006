package e2e_test

import (
	"bufio"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/atlhyper/observe/loadtest/balance"
	"github.com/atlhyper/observe/master/envelope"
	"github.com/atlhyper/observe/shared/model"
)

// testStream reads all sections from a stream through the demo's balancer, which
// must pass on what comes as it comes, and resumes it on each master.
func testStream(t *testing.T, s *stack, c cluster) { //nolint:thelper // the body of a subtest
	through := s.balancer(t)
	missing := sectionPaths()
	lastID := through.events(t, "", c, func(name, data string) (goOn bool) {
		path, wanted := missing[model.Section(name)]
		if !wanted {
			return true // published anew while the others came
		}
		delete(missing, model.Section(name))
		got := decodeLoose[answer](t, json.RawMessage(data))
		if want := s.dashboard(t, c, path); string(got.Data) != string(want.Data) || got.Meta.Seq != want.Meta.Seq {
			t.Errorf("%s: the stream has seq %d %.200s, the endpoint seq %d %.200s", path, got.Meta.Seq, got.Data, want.Meta.Seq, want.Data)
		}
		return len(missing) > 0
	})
	for _, m := range s.masters {
		missing := sectionPaths()
		m.events(t, lastID, c, func(name, data string) bool {
			if name != "meta" {
				t.Errorf("%s: %s is sent again: %.200s", m.name, name, data)
			}
			told := decodeLoose[struct {
				Section model.Section
				Meta    envelope.Meta
			}](t, json.RawMessage(data))
			if told.Meta.ClusterID != c.id || told.Meta.CollectedAt == "" || told.Meta.Stale {
				t.Errorf("%s: %+v", m.name, told)
			}
			delete(missing, told.Section)
			return len(missing) > 0
		})
	}
}

// balancer spreads requests over the masters.
func (s *stack) balancer(t *testing.T) *replica {
	t.Helper()
	listening := make(chan net.Addr, 1)
	cfg := balance.Config{Listen: "127.0.0.1:0", OnListen: func(a net.Addr) { listening <- a }}
	for _, m := range s.masters {
		u, err := url.Parse(m.url)
		if err != nil {
			t.Fatal(err)
		}
		cfg.Backends = append(cfg.Backends, u)
	}
	b, err := balance.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	run(t, "balancer", b.Run)
	return &replica{name: "balancer", url: "http://" + (<-listening).String(), http: s.masters[0].http}
}

// events reads a stream of all sections until take is satisfied, hangs up, and returns
// the last id.
func (r *replica) events(t *testing.T, lastID string, c cluster, take func(name, data string) (goOn bool)) string {
	t.Helper()
	ctx, hangUp := context.WithCancel(t.Context())
	defer hangUp()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url+prefix+"/observe/stream?"+query("cluster_id", c.id), nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Last-Event-ID", lastID)
	res, err := r.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		hangUp()
		if err := res.Body.Close(); err != nil {
			t.Errorf("close the stream: %v", err)
		}
	}()
	if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("stream on %s: status %d, %v", r.name, res.StatusCode, res.Header)
	}
	name, data := "", ""
	reader := bufio.NewReader(res.Body)
	for {
		line, err := reader.ReadString('\n')
		if err != nil {
			t.Fatalf("stream on %s: %v", r.name, err)
		}
		switch field, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": "); field {
		case "id":
			lastID = value
		case "event":
			name = value
		case "data":
			data += value
		case "":
			if name != "" && !take(name, data) {
				return lastID
			}
			name, data = "", ""
		}
	}
}

// testFleet holds the fleet against the endpoints of each cluster.
func testFleet(t *testing.T, s *stack, c cluster) { //nolint:thelper // the body of a subtest
	type glance struct {
		ID, Status, LastSeen string
		Nodes, Pods          *int64
		Overview             *struct {
			Data  json.RawMessage
			Stale bool
		}
	}
	for _, m := range s.masters {
		var got *glance
		eventually(t, m.name+" shows "+c.id+" online and fresh", func() bool {
			for _, each := range decodeLoose[[]glance](t, m.get(t, "/fleet").ok(t, "fleet").Data) {
				if each.ID == c.id {
					got = &each
				}
			}
			return got != nil && got.Status == "online" && got.Overview != nil && !got.Overview.Stale
		})
		want := s.dashboard(t, c, "/observe/overview")
		summary := decode[model.MetricsSummary](t, s.dashboard(t, c, "/observe/metrics/summary").Data)
		if string(got.Overview.Data) != string(want.Data) || got.Nodes == nil || *got.Nodes != summary.TotalNodes || got.Pods != nil || got.LastSeen == "" {
			t.Errorf("%s: %+v with overview %s; want nodes %d, overview %s", m.name, got, got.Overview.Data, summary.TotalNodes, want.Data)
		}
	}
}
