package e2e_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/atlhyper/observe/agent"
	"github.com/atlhyper/observe/master"
	"github.com/atlhyper/observe/shared/logtest"
	"github.com/atlhyper/observe/shared/span"
	"github.com/atlhyper/observe/shared/span/spantest"
)

// logLines are what a process logs, as objects.
type logLines struct{ logtest.Buffer }

func (l *logLines) logger() *slog.Logger {
	return slog.New(span.LogHandler(slog.NewJSONHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug})))
}

// of are the lines of a trace with that message.
func (l *logLines) of(t *testing.T, id trace.TraceID, message string) (lines []map[string]any) {
	t.Helper()
	for text := range strings.Lines(l.String()) {
		var line map[string]any
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if line["trace_id"] == id.String() && line[slog.MessageKey] == message {
			lines = append(lines, line)
		}
	}
	return lines
}

// traced is a master and an agent whose traces and logs are kept.
type traced struct {
	spans     *spantest.Recorder
	master    *replica
	masterLog *logLines
	agentLog  *logLines
	requests  int
}

const (
	sendSpan    = "PRODUCER send atlhyper:{cluster}:commands"
	processSpan = "CONSUMER process atlhyper:{cluster}:commands"
	traceSpan   = "SERVER GET /api/v2/observe/traces/{id}"
)

// ask asks with a trace of the caller's and returns its id when the spans that belong to it
// have ended: as many servers, producers and consumers as want has.
func (p *traced) ask(t *testing.T, path, want string) (answer, trace.TraceID, string) {
	t.Helper()
	p.requests++
	id := trace.TraceID{15: byte(p.requests)}
	request := fmt.Sprintf("request-%d", p.requests)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.master.url+prefix+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Request-Id", request)
	req.Header.Set("Traceparent", "00-"+id.String()+"-00f067aa0ba902b7-01")
	res, err := p.master.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	a := answer{Status: res.StatusCode, Header: res.Header}
	if err := json.NewDecoder(res.Body).Decode(&a); err != nil {
		t.Error(err)
	}
	if err := res.Body.Close(); err != nil {
		t.Error(err)
	}
	count := func(s spantest.Spans) [3]int {
		return [3]int{len(s.Of(trace.SpanKindServer)), len(s.Of(trace.SpanKindProducer)), len(s.Of(trace.SpanKindConsumer))}
	}
	lines := [3]int{strings.Count(want, "SERVER"), strings.Count(want, "PRODUCER"), strings.Count(want, "CONSUMER")}
	all := p.spans.Await(t, path, func(s spantest.Spans) bool { return count(s.In(id)) == lines }).In(id)
	if got := withoutStatements(all).Tree(); got != want {
		t.Errorf("%s: the trace is\n%swant\n%s", path, all.Tree(), want)
	}
	eventually(t, "the master's line of "+path, func() bool { return len(p.masterLog.of(t, id, "request")) == 1 })
	if line := p.masterLog.of(t, id, "request")[0]; line["request_id"] != request {
		t.Errorf("%s: the master logs %v", path, line)
	}
	return a, id, request
}

func withoutStatements(s spantest.Spans) spantest.Spans {
	return slices.DeleteFunc(slices.Clone(s), func(stub tracetest.SpanStub) bool { return stub.SpanKind == trace.SpanKindClient })
}

// testOwnTraces asserts what the product says of itself: a detail is one trace, down to
// each statement, and the log lines say which.
func testOwnTraces(t *testing.T, s *stack, at time.Time) { //nolint:thelper // the body of a subtest
	p := &traced{spans: spantest.New(t), masterLog: &logLines{}, agentLog: &logLines{}}
	c := cluster{id: "traced", at: at}
	wire := newLink(t, s.engine.Addr)
	s.startAgent(t, c, func(cfg *agent.Config) {
		cfg.TracerProvider, cfg.Logger = p.spans, p.agentLog.logger()
		cfg.ClickHouse.DSN = strings.Replace(cfg.ClickHouse.DSN, s.engine.Addr, wire.addr(), 1)
	})
	p.master = startMaster(t, "master-traced", s.redis.URL(), func(cfg *master.Config) {
		cfg.TracerProvider, cfg.Logger = p.spans, p.masterLog.logger()
	})
	s.awaitSections(t, c)

	t.Run("a dashboard", func(t *testing.T) {
		a, _, _ := p.ask(t, "/observe/metrics/nodes?cluster_id="+c.id, "SERVER GET /api/v2/observe/metrics/nodes\n")
		a.ok(t, "a dashboard")
	})
	t.Run("a detail", func(t *testing.T) { testOwnDetail(t, s, p, c) })
	t.Run("a refusal", func(t *testing.T) {
		a, _, _ := p.ask(t, "/observe/traces/"+s.rows.TraceIDs()[0]+"?cluster_id=nowhere",
			traceSpan+"\n "+sendSpan+" ERROR \"no cluster nowhere was ever seen, or Redis lost it and its agents are not back yet\"\n")
		a.refused(t, "a detail of no cluster", http.StatusNotFound, "cluster_unknown")
	})
	t.Run("a section", func(t *testing.T) {
		section := p.spans.Spans().Named("collect slo.edges")
		if len(section) == 0 || section[0].Parent.IsValid() || spantest.Attributes(section[0])["atlhyper.cluster"] != c.id {
			t.Errorf("its collections are %v", section)
		}
	})
	t.Run("a failure", func(t *testing.T) {
		wire.cut()
		const why = " ERROR \"ClickHouse cannot be reached or broke off while it answered "
		a, id, _ := p.ask(t, "/observe/traces/"+s.rows.TraceIDs()[1]+"?cluster_id="+c.id, strings.Join([]string{
			traceSpan + why + "trace_window\"", " " + sendSpan + why + "trace_window\"", "  " + processSpan + why + "trace_window\"", "",
		}, "\n"))
		a.refused(t, "a detail without ClickHouse", http.StatusBadGateway, "agent_error")
		statement := p.spans.Spans().In(id).Of(trace.SpanKindClient).One(t)
		if statement.Status.Code != codes.Error || spantest.Attributes(statement)["error.type"] != "agent_error" {
			t.Errorf("the statement ended with %v, %v", statement.Status, statement.Attributes)
		}
		if got := len(p.agentLog.of(t, id, "command failed")); got != 1 {
			t.Errorf("the agent has %d lines about it", got)
		}
	})
}

func testOwnDetail(t *testing.T, s *stack, p *traced, c cluster) { //nolint:thelper // the body of a subtest
	a, id, request := p.ask(t, "/observe/traces/"+s.rows.TraceIDs()[0]+"?cluster_id="+c.id, traceSpan+"\n "+sendSpan+"\n  "+processSpan+"\n")
	a.ok(t, "a detail")
	all := p.spans.Spans().In(id)
	consumer := all.Of(trace.SpanKindConsumer).One(t)
	if got := spantest.Attributes(consumer); got["atlhyper.request_id"] != request || got["atlhyper.kind"] != "trace" ||
		got["atlhyper.cluster"] != c.id || got["atlhyper.queue_wait_ms"] == nil {
		t.Errorf("the run has %v", got)
	}
	// What the agent's log says of its statements, each with the id that ClickHouse knows.
	logged := map[string]string{}
	for _, line := range p.agentLog.of(t, id, "statement") {
		logged[fmt.Sprint(line["query_id"])] = "SELECT " + fmt.Sprint(line["name"])
		if line["request_id"] != request {
			t.Errorf("the agent logs %v", line)
		}
	}
	statements := map[string]string{}
	for _, stub := range all.Of(trace.SpanKindClient) {
		got := spantest.Attributes(stub)
		statements[fmt.Sprint(got["clickhouse.query_id"])] = stub.Name
		if stub.Parent.SpanID() != consumer.SpanContext.SpanID() || got["db.system.name"] != "clickhouse" || got["db.namespace"] != s.db {
			t.Errorf("%s below %v has %v", stub.Name, stub.Parent, got)
		}
	}
	equal(t, "statements", logged, statements)
	if names := slices.Sorted(maps.Values(statements)); !slices.Contains(names, "SELECT trace_spans") {
		t.Errorf("the statements are %v", names)
	}
	if got := p.agentLog.of(t, id, "command answered"); len(got) != 1 || got[0]["request_id"] != request {
		t.Errorf("the agent logs %v", got)
	}
}
