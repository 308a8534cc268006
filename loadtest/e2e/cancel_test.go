package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/atlhyper/observe/agent"
	"github.com/atlhyper/observe/agent/clickhouse"
)

// testHangUp asks for logs of a table that never ends, and hangs up: the query is
// seen to begin in ClickHouse, and to end there.
func testHangUp(t *testing.T, s *stack, at time.Time) { //nolint:thelper // the body of a subtest
	const table = "endless_logs"
	s.engine.Exec(t, fmt.Sprintf(
		"CREATE VIEW %[1]s.%[2]s AS SELECT l.* FROM numbers(1000000000000) AS n CROSS JOIN %[1]s.otel_logs AS l WHERE cityHash64(n.number) = 1", s.db, table))
	c := cluster{id: "endless", at: at}
	s.startAgent(t, c, func(cfg *agent.Config) {
		cfg.ClickHouse.Tables = clickhouse.DefaultTables()
		cfg.ClickHouse.Tables.Logs = table
	})
	s.awaitSections(t, c)
	running := func() bool {
		out, err := s.engine.Query(t.Context(), "default",
			"SELECT count() FROM system.processes WHERE query LIKE '%"+table+"%' AND query NOT LIKE '%system.processes%'")
		if err != nil {
			t.Fatal(err)
		}
		return out != "0\n"
	}
	m := s.masters[0]
	ctx, hangUp := context.WithCancel(t.Context())
	defer hangUp()
	body := fmt.Sprintf(`{"cluster_id":%q,"start_time":%q,"end_time":%q,"timeout":"30s"}`,
		c.id, at.Add(-5*time.Minute).UTC().Format(time.RFC3339), at.UTC().Format(time.RFC3339))
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, m.url+prefix+"/observe/logs/query", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		res, err := m.http.Do(req)
		if err == nil {
			err = errors.Join(fmt.Errorf("it was answered with %d", res.StatusCode), res.Body.Close())
		}
		ended <- err
	}()
	eventually(t, "ClickHouse runs the query", func() bool {
		select {
		case err := <-ended:
			t.Fatalf("the request ended before its query was seen: %v", err)
		default:
		}
		return running()
	})
	hangUp()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the request ended with %v", err)
	}
	eventually(t, "ClickHouse has stopped the query", func() bool { return !running() })
}

// testShared asks two masters for the same trace: the second one answers with what
// the first one had read, and says so.
func testShared(t *testing.T, s *stack, c cluster) { //nolint:thelper // the body of a subtest
	path := "/observe/metrics/nodes/10.0.1.11"
	var first, second answer
	eventually(t, "the second master shares the first one's answer", func() bool {
		first = s.masters[0].get(t, path, "cluster_id", c.id).ok(t, path)
		second = s.masters[1].get(t, path, "cluster_id", c.id).ok(t, path)
		return second.Meta.Shared
	})
	equal(t, "the shared answer", string(first.Data), string(second.Data))
	if first.Meta.CollectedAt != second.Meta.CollectedAt || first.Meta.Agent != second.Meta.Agent || first.Meta.TookMs != second.Meta.TookMs {
		t.Errorf("the shared answer's meta %+v, %+v; the first one's %+v, %+v", second.Meta, second.Meta.Detail, first.Meta, first.Meta.Detail)
	}
}
