package collect_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/atlhyper/observe/agent/collect"
	"github.com/atlhyper/observe/shared/fault"
	"github.com/atlhyper/observe/shared/span"
	"github.com/atlhyper/observe/shared/span/spantest"
)

// Each collection of a section is a trace of its own, whatever the collector runs in, and
// the log says which one failed.
func TestCollectionsAreTraces(t *testing.T) {
	spans, r := spantest.New(t), newRecorder()
	statement := func(ctx context.Context) {
		_, s := spans.Tracer("test").Start(ctx, "statement")
		s.End()
	}
	var log bytes.Buffer // written by the goroutine of Run alone
	c, err := collect.New(collect.Config[int]{
		Sections: table{
			{Name: "good", Collect: func(ctx context.Context, _ int) (any, error) { statement(ctx); return "x", nil }},
			{Name: "bad", Collect: func(ctx context.Context, _ int) (any, error) {
				statement(ctx)
				return nil, fault.New(fault.AgentError, "ClickHouse is away")
			}},
		},
		Begin:     func(context.Context, time.Time) int { return 0 },
		Publisher: r, Interval: time.Hour, Timeout: time.Minute,
		TracerProvider: spans, Cluster: "east", Logger: slog.New(span.LogHandler(slog.NewTextHandler(&log, nil))),
	})
	if err != nil {
		t.Fatal(err)
	}
	outer, s := spans.Tracer("test").Start(t.Context(), "outer")
	ctx, cancel := context.WithCancel(outer)
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	all := spans.Await(t, "both collections", func(all spantest.Spans) bool {
		return len(all.Named("collect good"))+len(all.Named("collect bad")) == 2
	})
	r.next(t, "bad") // what is published was logged before
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	s.End()

	good, bad := all.Named("collect good").One(t), all.Named("collect bad").One(t)
	for want, id := range map[string]trace.TraceID{
		"INTERNAL collect good\n INTERNAL statement\n":                             good.SpanContext.TraceID(),
		"INTERNAL collect bad ERROR \"ClickHouse is away\"\n INTERNAL statement\n": bad.SpanContext.TraceID(),
	} {
		if diff := cmp.Diff(want, all.In(id).Tree()); diff != "" {
			t.Error(diff)
		}
	}
	if good.Status.Code != codes.Unset || good.Parent.IsValid() || bad.Parent.IsValid() {
		t.Errorf("good %v below %v, bad below %v", good.Status, good.Parent, bad.Parent)
	}
	if diff := cmp.Diff(map[string]any{"atlhyper.section": "good", "atlhyper.cluster": "east", "atlhyper.bytes": int64(2)}, spantest.Attributes(good)); diff != "" {
		t.Error(diff)
	}
	if got := spantest.Attributes(bad)["error.type"]; got != "agent_error" {
		t.Errorf("error.type %v", got)
	}
	if want := "trace_id=" + bad.SpanContext.TraceID().String(); strings.Count(log.String(), want) != 1 {
		t.Errorf("want one line with %s:\n%s", want, log.String())
	}
}
