package tracing_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/atlhyper/observe/shared/tracing"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// clean makes sure that the environment of the test says nothing else.
func clean(t *testing.T, env map[string]string) {
	t.Helper()
	for _, name := range []string{
		"OTEL_SDK_DISABLED", "OTEL_TRACES_EXPORTER", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
		"OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG",
		"OTEL_PROPAGATORS", "OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES", "OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
		"OTEL_EXPORTER_OTLP_CERTIFICATE", "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "OTEL_EXPORTER_OTLP_CLIENT_KEY",
		"OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE", "OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY",
	} {
		t.Setenv(name, env[name])
	}
}

func TestOffUnlessAskedFor(t *testing.T) {
	for name, env := range map[string]map[string]string{
		"nothing is set":     {},
		"none":               {"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"},
		"disabled":           {"OTEL_SDK_DISABLED": "TRUE", "OTEL_TRACES_EXPORTER": "otlp"},
		"only described":     {"OTEL_SERVICE_NAME": "x", "OTEL_TRACES_SAMPLER": "always_on"},
		"blank":              {"OTEL_TRACES_EXPORTER": " "},
		"disabled, and more": {"OTEL_SDK_DISABLED": "true", "OTEL_TRACES_EXPORTER": "jaeger"},
	} {
		t.Run(name, func(t *testing.T) {
			clean(t, env)
			traces, err := tracing.Start(t.Context(), tracing.Config{Service: "test"})
			if err != nil {
				t.Fatal(err)
			}
			if traces.Provider() != nil {
				t.Error("there is a provider")
			}
			if err := traces.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		env  map[string]string
		want string
	}{
		"exporter":       {map[string]string{"OTEL_TRACES_EXPORTER": "jaeger"}, "OTEL_TRACES_EXPORTER"},
		"exporters":      {map[string]string{"OTEL_TRACES_EXPORTER": "otlp,console"}, "OTEL_TRACES_EXPORTER"},
		"protocol":       {map[string]string{"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"}, "OTEL_EXPORTER_OTLP_PROTOCOL"},
		"trace protocol": {map[string]string{"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "udp"}, "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"},
		"sampler":        {map[string]string{"OTEL_TRACES_EXPORTER": "otlp", "OTEL_TRACES_SAMPLER": "sometimes"}, "OTEL_TRACES_SAMPLER"},
		"ratio":          {map[string]string{"OTEL_TRACES_EXPORTER": "otlp", "OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "10"}, "OTEL_TRACES_SAMPLER_ARG"},
		"no ratio":       {map[string]string{"OTEL_TRACES_EXPORTER": "otlp", "OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "NaN"}, "OTEL_TRACES_SAMPLER_ARG"},
		"attributes":     {map[string]string{"OTEL_TRACES_EXPORTER": "otlp", "OTEL_RESOURCE_ATTRIBUTES": "no-value"}, "OTEL_RESOURCE_ATTRIBUTES"},
	} {
		t.Run(name, func(t *testing.T) {
			clean(t, c.env)
			if _, err := tracing.Start(t.Context(), tracing.Config{Service: "test"}); err == nil || !strings.Contains(err.Error(), c.want+":") {
				t.Errorf("got %v, want an error that names %s", err, c.want)
			}
		})
	}
}

// receiver is an OpenTelemetry Collector as far as a test needs one.
type receiver struct {
	collector.UnimplementedTraceServiceServer
	requests chan *collector.ExportTraceServiceRequest
}

func newReceiver() *receiver {
	return &receiver{requests: make(chan *collector.ExportTraceServiceRequest, 10)}
}

// Export implements collector.TraceServiceServer.
func (r *receiver) Export(_ context.Context, request *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	r.requests <- request
	return &collector.ExportTraceServiceResponse{}, nil
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	var export collector.ExportTraceServiceRequest
	body, err := io.ReadAll(request.Body)
	if err == nil {
		err = proto.Unmarshal(body, &export)
	}
	if err != nil || request.URL.Path != "/v1/traces" {
		http.Error(w, "bad request", http.StatusBadRequest)
		return
	}
	r.requests <- &export
}

func (r *receiver) serveHTTP(t *testing.T) (url string) {
	t.Helper()
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	return server.URL
}

func (r *receiver) serveGRPC(t *testing.T) (url string) {
	t.Helper()
	var listen net.ListenConfig
	listener, err := listen.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	collector.RegisterTraceServiceServer(server, r)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return "http://" + listener.Addr().String()
}

// What a shutdown hands over says who it is of, by either protocol.
func TestExport(t *testing.T) {
	for protocol, serve := range map[string]func(*receiver, *testing.T) string{
		"":              (*receiver).serveHTTP,
		"http/protobuf": (*receiver).serveHTTP,
		"grpc":          (*receiver).serveGRPC,
	} {
		for name, want := range map[string]string{"": "test", "shop": "shop"} {
			t.Run(protocol+" "+name, func(t *testing.T) {
				r := newReceiver()
				clean(t, map[string]string{
					"OTEL_EXPORTER_OTLP_ENDPOINT": serve(r, t), "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
					"OTEL_SERVICE_NAME": name, "OTEL_RESOURCE_ATTRIBUTES": "team=a",
				})
				traces, err := tracing.Start(t.Context(), tracing.Config{Service: "test", Version: "v1", FlushTimeout: time.Minute})
				if err != nil {
					t.Fatal(err)
				}
				_, s := traces.Provider().Tracer("t").Start(t.Context(), "one")
				s.End()
				ended, end := context.WithCancel(t.Context())
				end() // as at the end of a process
				if err := traces.Shutdown(ended); err != nil {
					t.Fatal(err)
				}
				select {
				case request := <-r.requests:
					checkExport(t, request, want, s.SpanContext())
				default:
					t.Fatal("nothing was exported")
				}
			})
		}
	}
}

func checkExport(t *testing.T, request *collector.ExportTraceServiceRequest, service string, sc trace.SpanContext) {
	t.Helper()
	spans := request.GetResourceSpans()
	if len(spans) != 1 || len(spans[0].GetScopeSpans()) != 1 || len(spans[0].GetScopeSpans()[0].GetSpans()) != 1 {
		t.Fatalf("want one span, got %v", request)
	}
	if got, want := spans[0].GetScopeSpans()[0].GetSpans()[0].GetTraceId(), sc.TraceID(); !bytes.Equal(got, want[:]) {
		t.Errorf("trace id %x, want %x", got, want)
	}
	has := map[string]string{}
	for _, a := range spans[0].GetResource().GetAttributes() {
		has[a.GetKey()] = a.GetValue().GetStringValue()
	}
	if has["service.name"] != service || has["service.version"] != "v1" || has["team"] != "a" || has["service.instance.id"] == "" {
		t.Errorf("resource %v", has)
	}
}

// The sampler is the one of the variables.
func TestSampler(t *testing.T) {
	clean(t, map[string]string{"OTEL_TRACES_EXPORTER": "otlp", "OTEL_TRACES_SAMPLER": "always_off"})
	traces, err := tracing.Start(t.Context(), tracing.Config{Service: "test"})
	if err != nil {
		t.Fatal(err)
	}
	_, s := traces.Provider().Tracer("t").Start(t.Context(), "one")
	if s.IsRecording() || s.SpanContext().IsSampled() {
		t.Error("a span is recorded")
	}
	if err := traces.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

// A collector that refuses is told of in the log, once, and the process ends all the same.
func TestCollectorRefuses(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	clean(t, map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": server.URL, "OTEL_PROPAGATORS": "tracecontext, b3"})
	var log bytes.Buffer
	traces, err := tracing.Start(t.Context(), tracing.Config{
		Service: "test", FlushTimeout: time.Minute, Logger: slog.New(slog.NewTextHandler(&log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	_, s := traces.Provider().Tracer("t").Start(t.Context(), "one")
	s.End()
	if err := traces.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if err := traces.Shutdown(t.Context()); err != nil {
		t.Errorf("a second time: %v", err)
	}
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	count := func(part string) int {
		return len(slices.DeleteFunc(slices.Clone(lines), func(l string) bool { return !strings.Contains(l, part) }))
	}
	if count("traces are lost") != 1 || count("failures=1") != 1 || count(`propagator="\"b3\""`) != 1 {
		t.Errorf("log:\n%s", log.String())
	}
}
