package api_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/atlhyper/observe/master/api"
	"github.com/atlhyper/observe/master/dashboard"
	"github.com/atlhyper/observe/master/dispatch"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/shared/fault"
	"github.com/atlhyper/observe/shared/model"
	"github.com/atlhyper/observe/shared/span"
	"github.com/atlhyper/observe/shared/span/spantest"
)

const callersTrace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

// tracedAPI answers as its path asks for and logs what it says.
func tracedAPI(t *testing.T, provider trace.TracerProvider, log *bytes.Buffer) *api.API {
	t.Helper()
	board := answering(t, []byte(`{"message":"ok"}`))
	b := &backend{
		ready: func(context.Context) error { return nil },
		section: func(ctx context.Context, c key.Cluster, s model.Section) (*dashboard.Answer, error) {
			if c == "gone" {
				return nil, fault.New(fault.ClusterUnknown, "no cluster gone")
			}
			return board.section(ctx, c, s)
		},
		do: func(ctx context.Context, r dispatch.Request) ([]byte, error) {
			_, s := span.Tracer(provider, "test").Start(ctx, "work of "+span.Request(ctx))
			s.End()
			switch r.Cluster {
			case "offline":
				return nil, fault.Wrap(errors.New("secret"), fault.AgentOffline, "nobody is there")
			case "broken":
				panic("boom")
			}
			return []byte(`{"message":"ok"}`), nil
		},
	}
	a, err := api.New(api.Config{
		Dashboards: b, Details: b, Ready: b.ready, Now: clocks, TracerProvider: provider,
		ServeMetrics: http.NotFoundHandler(),
		Logger:       slog.New(span.LogHandler(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))),
	})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

const (
	detailPath = "/api/v2/observe/traces/4BF92F3577B34DA6A3CE929D0E0E4736?cluster_id="
	detailName = "GET /api/v2/observe/traces/{id}"
)

// One request is one span, named by its route, with what is done for it below.
func TestRequestSpans(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		method, url string
		tree        string
		status      codes.Code
		want        map[string]any
	}{
		"dashboard": {
			method: http.MethodGet, url: nodesURL, tree: "SERVER GET /api/v2/observe/metrics/nodes\n",
			want: map[string]any{"http.response.status_code": int64(200), "http.route": "/api/v2/observe/metrics/nodes", "url.path": "/api/v2/observe/metrics/nodes", "atlhyper.cluster": "prod-1"},
		},
		"HEAD": {
			method: http.MethodHead, url: nodesURL, tree: "SERVER HEAD /api/v2/observe/metrics/nodes\n",
			want: map[string]any{"http.response.status_code": int64(200), "http.route": "/api/v2/observe/metrics/nodes", "url.path": "/api/v2/observe/metrics/nodes", "atlhyper.cluster": "prod-1"},
		},
		"detail": {
			method: http.MethodGet, url: detailPath + "a", tree: "SERVER " + detailName + "\n INTERNAL work of r-1\n",
			want: map[string]any{"http.response.status_code": int64(200), "http.route": "/api/v2/observe/traces/{id}", "url.path": "/api/v2/observe/traces/4BF92F3577B34DA6A3CE929D0E0E4736", "atlhyper.cluster": "a"},
		},
		"detail that fails": {
			method: http.MethodGet, url: detailPath + "offline", tree: "SERVER " + detailName + " ERROR \"nobody is there\"\n INTERNAL work of r-1\n", status: codes.Error,
			want: map[string]any{"http.response.status_code": int64(503), "http.route": "/api/v2/observe/traces/{id}", "url.path": "/api/v2/observe/traces/4BF92F3577B34DA6A3CE929D0E0E4736", "atlhyper.cluster": "offline", "error.type": "agent_offline"},
		},
		"refused": {
			method: http.MethodGet, url: strings.Replace(nodesURL, "prod-1", "gone", 1), tree: "SERVER GET /api/v2/observe/metrics/nodes\n",
			want: map[string]any{"http.response.status_code": int64(404), "http.route": "/api/v2/observe/metrics/nodes", "url.path": "/api/v2/observe/metrics/nodes", "atlhyper.cluster": "gone", "error.type": "cluster_unknown"},
		},
		"malformed": {
			method: http.MethodGet, url: nodesURL + "&q=secret", tree: "SERVER GET /api/v2/observe/metrics/nodes\n",
			want: map[string]any{"http.response.status_code": int64(400), "http.route": "/api/v2/observe/metrics/nodes", "url.path": "/api/v2/observe/metrics/nodes", "atlhyper.cluster": "prod-1", "error.type": "bad_request"},
		},
		"panic": {
			method: http.MethodGet, url: detailPath + "broken", tree: "SERVER " + detailName + " ERROR \"\"\n INTERNAL work of r-1\n", status: codes.Error,
			want: map[string]any{"http.response.status_code": int64(500), "http.route": "/api/v2/observe/traces/{id}", "url.path": "/api/v2/observe/traces/4BF92F3577B34DA6A3CE929D0E0E4736", "atlhyper.cluster": "broken", "error.type": "internal"},
		},
		"no endpoint": {
			method: http.MethodGet, url: "/" + strings.Repeat("ä", 200), tree: "SERVER GET\n",
			want: map[string]any{"http.response.status_code": int64(404), "url.path": "/" + strings.Repeat("ä", 127), "error.type": "not_found"},
		},
		"no method": {
			method: "BREW", url: nodesURL, tree: "SERVER HTTP\n",
			want: map[string]any{"http.request.method": "_OTHER", "http.response.status_code": int64(405), "url.path": "/api/v2/observe/metrics/nodes", "error.type": "method_not_allowed"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spans := spantest.New(t)
			var log bytes.Buffer
			a := tracedAPI(t, spans, &log)
			w := do(t, a, c.method, c.url, http.Header{"X-Request-Id": {"r-1"}, "Traceparent": {callersTrace}, "Tracestate": {"secret=1"}})
			if diff := cmp.Diff(c.tree, spans.Spans().Tree()); diff != "" {
				t.Fatal(diff)
			}
			s := spans.Spans().Of(trace.SpanKindServer).One(t)
			if s.Status.Code != c.status {
				t.Errorf("status %v, want %v", s.Status, c.status)
			}
			if s.SpanContext.TraceID().String() != callersTrace[3:35] || s.Parent.SpanID().String() != callersTrace[36:52] || s.SpanContext.TraceState().Len() > 0 {
				t.Errorf("it is %+v, of %+v", s.SpanContext, s.Parent)
			}
			if c.want["http.request.method"] == nil {
				c.want["http.request.method"] = c.method
			}
			c.want["url.scheme"], c.want["atlhyper.request_id"] = "http", "r-1"
			c.want["http.response.body.size"] = int64(w.Body.Len())
			if diff := cmp.Diff(c.want, spantest.Attributes(s)); diff != "" {
				t.Error(diff)
			}
			ids := "trace_id=" + s.SpanContext.TraceID().String() + " span_id=" + s.SpanContext.SpanID().String()
			for line := range strings.Lines(log.String()) {
				if strings.Count(line, ids) != 1 || strings.Count(line, "request_id=r-1") != 1 {
					t.Errorf("a line says not what it belongs to: %s", line)
				}
			}
			if log.Len() == 0 {
				t.Error("nothing was logged")
			}
		})
	}
}

// Probes make no spans, and no provider is no trouble.
func TestNoSpans(t *testing.T) {
	t.Parallel()
	spans := spantest.New(t)
	var log bytes.Buffer
	a := tracedAPI(t, spans, &log)
	for _, path := range []string{"/healthz", "/readyz", "/metrics", "/openapi.json"} {
		do(t, a, http.MethodGet, path, nil)
	}
	if got := spans.Spans().Named("GET /healthz"); len(got) > 0 {
		t.Errorf("probes made\n%s", got.Tree())
	}
	for _, s := range spans.Spans() {
		if _, routed := spantest.Attributes(s)["http.route"]; routed {
			t.Errorf("there is a span of %s", s.Name)
		}
	}
	log.Reset()
	a = tracedAPI(t, nil, &log)
	if w := do(t, a, http.MethodGet, nodesURL, http.Header{"Traceparent": {callersTrace}}); w.Code != http.StatusOK {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if strings.Contains(log.String(), "trace_id") {
		t.Errorf("log: %s", log.String())
	}
}

// A dashboard that is not sampled costs little more than one without traces.
func TestUnsampledDashboardsAllocateLittle(t *testing.T) {
	backend := answering(t, large())
	a, err := api.New(api.Config{
		Dashboards: backend, Details: backend, Ready: func(context.Context) error { return nil }, Now: clocks,
		TracerProvider: sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.NeverSample())),
		Metrics:        prometheus.NewRegistry(), Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, nodesURL, nil)
	w := &sink{header: make(http.Header)}
	if n := testing.AllocsPerRun(100, func() { a.ServeHTTP(w, r) }); n > 12 {
		t.Errorf("%v allocations", n)
	}
}
