package clickhouse

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	tracespan "github.com/atlhyper/observe/shared/span"
	"github.com/atlhyper/observe/shared/span/spantest"
)

// wire is a proxy in front of the engine that remembers, by query id, which span the
// server was told of.
type wire struct {
	to      string
	mu      sync.Mutex
	parents map[string]string
}

// tracedStore opens a store on an empty database, behind a wire.
func tracedStore(t *testing.T, provider trace.TracerProvider) (*Store, *wire) {
	t.Helper()
	srv := engine.Server(t)
	dsn, err := url.Parse(srv.DSN(srv.Database(t)))
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{to: "http://" + dsn.Host, parents: make(map[string]string)}
	server := httptest.NewServer(w)
	t.Cleanup(server.Close)
	dsn.Host = strings.TrimPrefix(server.URL, "http://")
	s, err := Open(Config{DSN: dsn.String(), TracerProvider: provider})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s, w
}

// ServeHTTP passes a whole request on, and then its whole answer.
func (w *wire) ServeHTTP(out http.ResponseWriter, in *http.Request) {
	w.mu.Lock()
	w.parents[in.URL.Query().Get("query_id")] = in.Header.Get("Traceparent")
	w.mu.Unlock()
	if err := w.pass(out, in); err != nil {
		http.Error(out, err.Error(), http.StatusBadGateway)
	}
}

func (w *wire) pass(out http.ResponseWriter, in *http.Request) (err error) {
	body, err := io.ReadAll(in.Body)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(in.Context(), in.Method, w.to+in.URL.RequestURI(), bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header = in.Header
	res, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, res.Body.Close()) }()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	maps.Copy(out.Header(), res.Header)
	out.WriteHeader(res.StatusCode)
	_, err = out.Write(answer)
	return err
}

func (w *wire) parent(id string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.parents[id]
}

// Each statement is a span below that of who asks, and the server is told of it.
func TestStatementSpans(t *testing.T) {
	t.Parallel()
	spans := spantest.New(t)
	s, w := tracedStore(t, spans)
	ctx, root := spans.Tracer("test").Start(t.Context(), "root")
	if _, err := queryText(ctx, s, "unread", "SELECT number FROM numbers(3)", nil, scanNothing); err == nil {
		t.Error("a row that cannot be scanned is no error")
	}
	if err := s.each(ctx, "numbers", "SELECT number FROM numbers({n:UInt64})", params{"n": 1000}, func(driver.Rows) error { return nil }); err != nil {
		t.Error(err)
	}
	if err := s.each(ctx, "broken", "SELECT secret FROM numbers(3)", nil, func(driver.Rows) error { return nil }); err == nil {
		t.Error("an unknown column is no error")
	}
	root.End()
	all := spans.Spans().In(root.SpanContext().TraceID())
	if got := all.Of(trace.SpanKindClient); len(got) != 3 {
		t.Fatalf("want three statements, got\n%s", all.Tree())
	}
	port, err := url.Parse(s.cfg.DSN)
	if err != nil {
		t.Fatal(err)
	}
	for _, stub := range all.Of(trace.SpanKindClient) {
		got := spantest.Attributes(stub)
		id, _ := got["clickhouse.query_id"].(string)
		name := strings.TrimPrefix(stub.Name, "SELECT ")
		if !strings.HasPrefix(id, "atlhyper-"+name+"-") || stub.Parent.SpanID() != root.SpanContext().SpanID() {
			t.Errorf("%s: query id %q, parent %v", stub.Name, id, stub.Parent)
		}
		want := "00-" + stub.SpanContext.TraceID().String() + "-" + stub.SpanContext.SpanID().String() + "-01"
		if parent := w.parent(id); parent != want {
			t.Errorf("%s: the server was told of %q, want %q", stub.Name, parent, want)
		}
		if got["db.system.name"] != "clickhouse" || got["db.operation.name"] != "SELECT" || got["db.query.summary"] != stub.Name ||
			"/"+got["db.namespace"].(string) != port.Path || got["server.address"] != port.Hostname() || got["db.query.text"] != nil {
			t.Errorf("%s: %v", stub.Name, got)
		}
	}
	numbers := all.Named("SELECT numbers").One(t)
	if got := spantest.Attributes(numbers); got["db.response.returned_rows"] != int64(1000) || numbers.Status.Code != codes.Unset ||
		got["clickhouse.read_rows"].(int64) < 0 {
		t.Errorf("numbers: %v, %v", got, numbers.Status)
	}
	broken := all.Named("SELECT broken").One(t)
	if got := spantest.Attributes(broken); got["db.response.status_code"] != "47" || got["error.type"] != "agent_error" ||
		broken.Status.Code != codes.Error || got["db.response.returned_rows"] != nil {
		t.Errorf("broken: %v, %v", got, broken.Status)
	}
}

// The server is told of no trace that this process does not record: it would keep spans
// of its own whenever a caller says so.
func TestServerIsToldOfOwnTraces(t *testing.T) {
	t.Parallel()
	for name, provider := range map[string]trace.TracerProvider{
		"off":         nil,
		"not sampled": sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.NeverSample())),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, w := tracedStore(t, provider)
			ctx := tracespan.Continue(t.Context(), "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
			if err := s.each(ctx, "numbers", "SELECT number FROM numbers(3)", nil, func(driver.Rows) error { return nil }); err != nil {
				t.Fatal(err)
			}
			w.mu.Lock()
			defer w.mu.Unlock()
			asked := false
			for id, parent := range w.parents {
				asked = asked || strings.HasPrefix(id, "atlhyper-numbers-")
				if parent != "" {
					t.Errorf("%s: the server was told of %s", id, parent)
				}
			}
			if !asked {
				t.Error("nothing was asked")
			}
		})
	}
}

// What several sections need is read in the trace of the first, to which the others are
// linked.
func TestRoundSpans(t *testing.T) {
	t.Parallel()
	spans := spantest.New(t)
	s, _ := tracedStore(t, spans)
	round := s.Round(t.Context(), testNow)
	first, one := spans.Tracer("test").Start(t.Context(), "one")
	second, two := spans.Tracer("test").Start(t.Context(), "two")
	if _, err := round.In(first).SLOIngress(); err != nil {
		t.Error(err)
	}
	for range 2 {
		if _, err := round.In(second).SLOSummary(); err != nil {
			t.Error(err)
		}
	}
	one.End()
	two.End()
	if got := spans.Spans().In(one.SpanContext().TraceID()); len(got) < 2 {
		t.Errorf("the first read nothing:\n%s", got.Tree())
	}
	if diff := cmp.Diff("INTERNAL two\n", spans.Spans().In(two.SpanContext().TraceID()).Tree()); diff != "" {
		t.Error(diff)
	}
	stub := spans.Spans().Named("two").One(t)
	if len(stub.Links) == 0 || !stub.Links[0].SpanContext.Equal(one.SpanContext()) || spantest.Attributes(stub)["atlhyper.joined"] != true {
		t.Errorf("links %v, attributes %v", stub.Links, spantest.Attributes(stub))
	}
	if stub := spans.Spans().Named("one").One(t); len(stub.Links) > 0 {
		t.Errorf("the first has links %v", stub.Links)
	}
}
