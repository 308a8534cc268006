package master_test

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"testing"

	"github.com/atlhyper/observe/master"
	"github.com/atlhyper/observe/redis/bus"
	"github.com/atlhyper/observe/redis/redistest"
	"github.com/atlhyper/observe/shared/detail"
)

// Whoever asks another replica for the last 15 minutes gets what was just read, and
// is told so; who reads logs gets a run of their own.
func TestReplicasShareResults(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	var mu sync.Mutex
	runs := map[detail.Kind]int{}
	answer := scripted(t, nil)
	startAgent(t, redis.URL(), func(ctx context.Context, cmd bus.Command) bus.Reply {
		mu.Lock()
		defer mu.Unlock()
		runs[cmd.Kind]++
		return answer(ctx, cmd)
	})
	one, two := startMaster(t, master.Config{Redis: redis.URL()}), startMaster(t, master.Config{Redis: redis.URL()})
	type body struct {
		Data json.RawMessage
		Meta struct {
			Shared      bool
			CollectedAt string
			TookMs      float64
			Agent       string
		}
	}
	read := func(r response) (b body) {
		t.Helper()
		if err := json.Unmarshal(r.body, &b); err != nil || r.status != http.StatusOK {
			t.Fatalf("%d: %s", r.status, r.body)
		}
		return b
	}
	for _, path := range []string{
		"/api/v2/observe/traces?time_range=15m&service=cart",
		"/api/v2/observe/slo/timeseries?time_range=1h&service=cart",
		"/api/v2/observe/metrics/nodes/n1/series?metric=cpu&minutes=30",
		"/api/v2/observe/slo/edges?time_range=7h",
		"/api/v2/observe/metrics/nodes/n1?",
	} {
		var first, second body
		// A step of the grid may end between the two.
		eventually(t, path+" is shared", func() bool {
			first, second = read(one.get(t, path+"&cluster_id="+string(cluster))), read(two.get(t, path+"&cluster_id="+string(cluster)))
			return second.Meta.Shared
		})
		first.Meta.Shared = true
		if string(first.Data) != string(second.Data) || first.Meta != second.Meta {
			t.Errorf("%s: the shared answer says %+v, the first one %+v", path, second.Meta, first.Meta)
		}
	}
	for _, r := range []*replica{one, two, one} {
		res, err := r.do(t.Context(), http.MethodPost, "/api/v2/observe/logs/query", `{"cluster_id":"`+string(cluster)+`","start_time":"2026-01-01T00:00:00Z","end_time":"2026-01-01T01:00:00Z"}`)
		if err != nil {
			t.Fatal(err)
		}
		if b := read(res); b.Meta.Shared {
			t.Error("logs are shared")
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if runs[detail.KindLogs] != 3 {
		t.Errorf("three log queries made %d runs", runs[detail.KindLogs])
	}
}
