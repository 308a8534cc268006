package clickhouse

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/atlhyper/observe/loadtest/telemetry"
	"github.com/atlhyper/observe/shared/detail"
	"github.com/atlhyper/observe/shared/fault"
)

// everything asks for all sections and details: what failed, and how.
func everything(t *testing.T, s *Store) map[string]error {
	t.Helper()
	ctx := t.Context()
	r := s.Round(ctx, testNow)
	out := make(map[string]error)
	for name, ask := range map[string]func() error{
		"metrics.nodes":   func() error { return listed(r.MetricsNodes()) },
		"metrics.summary": func() error { _, err := r.MetricsSummary(); return err },
		"traces.services": func() error { return listed(r.TracesServices()) },
		"traces.topology": func() error { _, err := r.TracesTopology(); return err },
		"slo.ingress":     func() error { return listed(r.SLOIngress()) },
		"slo.services":    func() error { return listed(r.SLOServices()) },
		"slo.edges":       func() error { return listed(r.SLOEdges()) },
		"slo.summary":     func() error { _, err := r.SLOSummary(); return err },
		"otel.overview":   func() error { _, err := r.Overview(); return err },
		detailTraces: func() error {
			found, _, err := s.Traces(ctx, search(nil))
			return listed(found, err)
		},
		detailTrace: func() error {
			_, _, err := s.Trace(ctx, detail.Trace{TraceID: traceID(1)})
			return err
		},
		detailLogs: func() error {
			page, _, err := s.Logs(ctx, detail.Logs{Range: before(time.Hour), Limit: 1})
			return listed(page.Logs, err)
		},
		detailNode: func() error {
			_, _, err := s.Node(ctx, detail.Node{Name: "n1"})
			return err
		},
		detailNodeSeries: func() error {
			_, _, err := s.NodeSeries(ctx, detail.NodeSeries{Name: "n1", Metric: detail.MetricCPU, Range: before(time.Hour)})
			return err
		},
		detailSLOSeries: func() error {
			_, _, err := s.SLOSeries(ctx, detail.SLOSeries{Service: "web", Range: before(time.Hour)})
			return err
		},
	} {
		if err := ask(); err != nil {
			out[name] = err
		}
	}
	return out
}

// listed is the error of a list, also for one that would go over the wire as null.
func listed[T any](list []T, err error) error {
	if err == nil && list == nil {
		return errors.New("the list is nil")
	}
	return err
}

// failures leaves out the one thing that is not found, as opposed to not readable.
func failures(all map[string]error) []string {
	var names []string
	for name, err := range all {
		if !fault.Is(err, fault.NotFound) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// What is not there is empty; what nobody sent is not found.
func TestAbsentIsEmpty(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(d testDatabase){
		"no tables":    func(testDatabase) {},
		"empty tables": func(d testDatabase) { d.exporterTables(telemetry.Rows{}) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDatabase(t)
			prepare(d)
			all := everything(t, d.store())
			if got := failures(all); len(got) > 0 {
				t.Errorf("%q failed: %v", got, all)
			}
			for _, name := range []string{detailTrace, detailNode, detailSLOSeries} {
				if !fault.Is(all[name], fault.NotFound) {
					t.Errorf("%s: %v, want %s", name, all[name], fault.NotFound)
				}
			}
		})
	}
}

// What cannot be read is an error that names the table, in all that is made of it
// and nothing else.
func TestUnreadableIsAnError(t *testing.T) {
	t.Parallel()
	traces := []string{"otel.overview", "traces", "traces.services", "traces.topology", "traces/{id}"}
	slo := []string{"otel.overview", "slo.edges", "slo.ingress", "slo.services", "slo.summary", "slo/timeseries"}
	metrics := append([]string{"metrics.nodes", "metrics.summary", "metrics/nodes/{name}", "metrics/nodes/{name}/series"}, slo...)
	for table, want := range map[string][]string{
		"otel_traces":             traces,
		"otel_traces_trace_id_ts": {"traces", "traces/{id}"},
		"otel_logs":               {"logs/query"},
		"otel_metrics_gauge":      metrics, "otel_metrics_sum": metrics,
		"otel_metrics_histogram": slo, "otel_metrics_exponential_histogram": slo,
	} {
		for how, tc := range map[string]struct{ view, words string }{
			// The engine's only user may not read this table of the server's.
			"forbidden": {"SELECT * FROM stored WHERE (SELECT count() FROM system.users) >= 0", "code 497"},
			"gone":      {"SELECT * FROM stored", "code 60"},
		} {
			t.Run(table+" "+how, func(t *testing.T) {
				t.Parallel()
				d := newDatabase(t)
				// A node and a service, without which details have nothing to read on.
				d.exporterTables(telemetry.Rows{
					Spans:  []telemetry.Span{testSpan(1, 1, 0, "web", "Server", -time.Minute, time.Second)},
					Gauges: gauge("node_load1", exporter("n1"), pairs{}, -5*sec, min15, 1),
					Sums: append(counter(cpuSeconds, exporter("n1"), pairs{"cpu": "0", "mode": "idle"}, -5*sec, min15, 1, 2),
						counter("traefik_service_requests_total", exporter("n1"), pairs{"service": "web"}, -5*sec, min15, 1, 2)...),
				})
				d.exec("RENAME TABLE " + table + " TO stored")
				d.exec("CREATE VIEW " + table + " AS " + tc.view)
				if how == "gone" {
					d.exec("DROP TABLE IF EXISTS otel_traces_trace_id_ts_mv")
					d.exec("DROP TABLE stored")
				}
				all := everything(t, d.store())
				if got := failures(all); !slices.Equal(got, want) {
					t.Errorf("failed: %q, want %q", got, want)
				}
				for name, err := range all {
					text := fault.From(err).Message
					if !fault.Is(err, fault.NotFound) && (!fault.Is(err, fault.AgentError) || !strings.Contains(text, table) || !strings.Contains(text, tc.words)) {
						t.Errorf("%s: %v, want it to name %s and %s", name, err, table, tc.words)
					}
					if strings.Contains(text, "default:") {
						t.Errorf("%s tells the user's name: %s", name, text)
					}
				}
			})
		}
	}
}

// Without the database, or the server, all of it is an error.
func TestNoDatabaseIsAnError(t *testing.T) {
	t.Parallel()
	for dsn, words := range map[string]string{
		engine.Server(t).DSN("no_such_database"): "database does not exist",
		"http://127.0.0.1:1/otel":                "cannot be reached",
	} {
		all := everything(t, openStore(t, dsn))
		if got := failures(all); len(got) != 15 {
			t.Errorf("%s: only %q failed", words, got)
		}
		for name, err := range all {
			if !strings.Contains(fault.From(err).Message, words) {
				t.Errorf("%s: %v, want it to say %q", name, err, words)
			}
		}
	}
}
