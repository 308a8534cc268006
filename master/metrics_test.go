package master_test

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/atlhyper/observe/master"
	"github.com/atlhyper/observe/redis/redistest"
)

// A replica counts its requests by route, whatever paths are asked for.
func TestMetrics(t *testing.T) {
	t.Parallel()
	m := startMaster(t, master.Config{Redis: redistest.Start(t).URL()})
	for _, path := range []string{
		"/healthz", "/api/v2/clusters", "/api/v2/observe/metrics/nodes/n1?cluster_id=nobody",
		"/api/v2/observe/metrics/nodes/n2?cluster_id=nobody", "/no/such/1", "/no/such/2",
	} {
		m.get(t, path)
	}
	answer := m.get(t, "/metrics")
	if answer.status != http.StatusOK {
		t.Fatalf("status %d", answer.status)
	}
	problems, err := promlint.New(bytes.NewReader(answer.body)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	for _, want := range []string{
		`atlhyper_http_requests_total{code="cluster_unknown",route="/api/v2/observe/metrics/nodes/{name}",status="404"} 2`,
		`atlhyper_http_requests_total{code="",route="/api/v2/clusters",status="200"} 1`,
		// rate() sees the first failure only where there was a 0 before.
		`atlhyper_http_requests_total{code="internal",route="/api/v2/clusters",status="500"} 0`,
		`atlhyper_http_requests_total{code="store_unavailable",route="/api/v2/observe/traces/{id}",status="503"} 0`,
		`atlhyper_http_requests_total{code="unavailable",route="/api/v2/session",status="503"} 0`,
		`atlhyper_master_requests_not_pushed_total{reason="offline"} 2`,
		`atlhyper_master_requests_waiting 0`,
		`go_goroutines `,
	} {
		if !strings.Contains(string(answer.body), "\n"+want) {
			t.Errorf("no line %s", want)
		}
	}
	if strings.Contains(string(answer.body), `code="internal",route="/healthz"`) {
		t.Error("the budget is of the API, not of probes")
	}
	if strings.Contains(string(answer.body), "/no/such") || strings.Contains(string(answer.body), "n1") {
		t.Error("what is asked for makes new series")
	}
}
