package detail

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/atlhyper/observe/loadtest/chdb/chdbtest"
)

// The test runs at a size at which only the answers say something. make
// bench-detail gives those that the targets are for.
var (
	spans    = flag.Int64("spans", 15_000, "how many spans there are, about")
	samples  = flag.Int64("samples", 100_000, "how many samples there are, about")
	nodes    = flag.Int("nodes", 2, "how many nodes they are of")
	every    = flag.Duration("every", 30*time.Second, "time between two scrapes, in whole seconds")
	runs     = flag.Int("runs", 1, "how often each query is measured; medians are printed")
	targets  = flag.Bool("targets", false, "fail when a query reads more of its tables than it may")
	toStdout = flag.Bool("print", false, "print as soon as there is something to print")
)

// TestDetail measures, prints, and checks the answers.
func TestDetail(t *testing.T) {
	if *nodes < 1 || *runs < 1 || *every < time.Second {
		t.Fatalf("-nodes %d, -runs %d, -every %s: want at least 1, 1 and 1s", *nodes, *runs, *every)
	}
	engine := chdbtest.Start(t, chdbtest.WithArgs("--max-memory=8000000000"))
	database := engine.Database(t)
	until := time.Date(2026, 11, 23, 12, 40, 0, 0, time.UTC)
	size := Size{Spans: *spans, Samples: *samples, Nodes: *nodes, Every: *every}
	began := time.Now()
	d, err := Generate(t.Context(), engine.Open(t, database), database, size, until, func(format string, args ...any) {
		if *toStdout {
			report(t, format, args...)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	report(t, "made in %s\n", time.Since(began).Round(time.Second))
	stored(t, engine, database, &d)
	lines, err := Measure(t.Context(), engine.DSN(database), &d, *runs)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range lines {
		if l.Statements == 0 || l.Rows == 0 && l.Name != "trace by id, unknown" || l.Bytes == 0 && l.Rows != 0 {
			t.Errorf("%s read nothing: %+v", l.Name, l)
		}
		if *targets && l.Missed() {
			t.Errorf("%s read %.2f%% of the rows, want at most %g%%", l.Name, 100*l.Share(), 100*l.Target)
		}
	}
	var table strings.Builder
	if err := Write(&table, &d, lines); err != nil {
		t.Fatal(err)
	}
	report(t, "\n%s", table.String())
}

func report(t *testing.T, format string, args ...any) {
	t.Helper()
	if *toStdout {
		if _, err := fmt.Fprintf(os.Stdout, format, args...); err != nil {
			t.Error(err)
		}
		return
	}
	t.Logf(format, args...)
}

// stored checks that the tables have the rows that shares are taken of, and that
// the trace-id time index was filled.
func stored(t *testing.T, engine *chdbtest.Server, database string, d *Data) {
	t.Helper()
	got, err := engine.Query(t.Context(), database, `
		SELECT (SELECT count() FROM otel_traces),
		       (SELECT count() FROM otel_metrics_gauge) + (SELECT count() FROM otel_metrics_sum),
		       (SELECT uniqExact(TraceId) FROM otel_traces_trace_id_ts)`)
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("%d\t%d\t%d", d.Spans, d.Samples, d.copies*seedTraces); strings.TrimSpace(got) != want {
		t.Errorf("spans, samples and traces: got %q, want %q", strings.TrimSpace(got), want)
	}
}
