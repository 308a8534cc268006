package clickhouse

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/atlhyper/observe/loadtest/telemetry"
	"github.com/atlhyper/observe/shared/fault"
	"github.com/atlhyper/observe/shared/model"
)

// What a round read is what the tables hold, each source counted once in all and
// for each section that is made of it.
func TestReadsOfARound(t *testing.T) {
	t.Parallel()
	rows := captured(t)
	s, _ := testStore(t, rows)
	r := s.Round(t.Context(), testNow)
	if got := r.TotalReads(); got != (Reads{}) {
		t.Errorf("before the first section: %+v", got)
	}
	collectAll(t, r)
	spans := int64(len(rows.Spans))
	services := r.Reads(model.SectionTracesServices)
	if services.Statements != 1 || services.Rows != spans || services.Bytes < 8*spans {
		t.Errorf("traces.services of %d spans read %+v", spans, services)
	}
	if got := r.Reads(model.SectionTracesTopology); got.Statements != 3 || got.Rows < 2*spans || got.Bytes <= services.Bytes {
		t.Errorf("traces.topology of %d spans read %+v", spans, got)
	}
	nodes, traffic := r.Reads(model.SectionMetricsNodes), r.Reads(model.SectionSLOSummary)
	for name, pair := range map[string][2]Reads{
		"metrics.nodes": {nodes, r.Reads(model.SectionMetricsSummary)},
		"slo.summary":   {traffic, r.Reads(model.SectionSLOEdges)},
	} {
		if got := pair[0]; got.Statements == 0 || got.Rows == 0 || got.Bytes == 0 || got != pair[1] {
			t.Errorf("%s read %+v, another section of the same rows %+v", name, got, pair[1])
		}
	}
	if got, want := r.Reads(model.SectionOverview), nodes.plus(traffic).plus(services); got != want {
		t.Errorf("otel.overview read %+v, want %+v", got, want)
	}
	if got, want := r.TotalReads(), nodes.plus(traffic).plus(r.Reads(model.SectionTracesTopology)); got != want {
		t.Errorf("the round read %+v, want %+v", got, want)
	}
	if got := r.Reads("k8s.pods"); got != (Reads{}) {
		t.Errorf("a section of something else read %+v", got)
	}
}

// collectAll asks for all nine sections.
func collectAll(t *testing.T, r *Round) {
	t.Helper()
	for name, get := range map[model.Section]func() error{
		model.SectionMetricsNodes:   func() error { _, err := r.MetricsNodes(); return err },
		model.SectionMetricsSummary: func() error { _, err := r.MetricsSummary(); return err },
		model.SectionTracesServices: func() error { _, err := r.TracesServices(); return err },
		model.SectionTracesTopology: func() error { _, err := r.TracesTopology(); return err },
		model.SectionSLOIngress:     func() error { _, err := r.SLOIngress(); return err },
		model.SectionSLOServices:    func() error { _, err := r.SLOServices(); return err },
		model.SectionSLOEdges:       func() error { _, err := r.SLOEdges(); return err },
		model.SectionSLOSummary:     func() error { _, err := r.SLOSummary(); return err },
		model.SectionOverview:       func() error { _, err := r.Overview(); return err },
	} {
		if err := get(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// maxStatements is what a round may send.
const maxStatements = 12

// The number of statements of a round depends on nothing, once it is known what
// the tables look like.
func TestStatementsOfARoundAreFixed(t *testing.T) {
	t.Parallel()
	sent := make(map[string]int64)
	for name, rows := range map[string]telemetry.Rows{"nothing": {}, "the capture": captured(t)} {
		s, _ := testStore(t, rows)
		collectAll(t, s.Round(t.Context(), testNow))
		r := s.Round(t.Context(), testNow)
		collectAll(t, r)
		sent[name] = r.TotalReads().Statements
	}
	if n := sent["nothing"]; n != sent["the capture"] || n > maxStatements {
		t.Errorf("statements of a round: %v, want the same and at most %d", sent, maxStatements)
	}
}

// Each statement is logged under an id of its own, failures too, with what it read.
func TestStatementsAreLogged(t *testing.T) {
	t.Parallel()
	s, exec := emptyStore(t)
	exec("CREATE TABLE numbers ENGINE = MergeTree ORDER BY n AS SELECT number AS n FROM numbers(1000)")
	var log bytes.Buffer
	s.cfg.Logger = slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	m := new(meter)
	ctx := metered(t.Context(), m)
	if _, err := queryText(ctx, s, "sum", "SELECT sum(n) FROM numbers", nil, scanNothing); err == nil {
		t.Error("a row that cannot be scanned is no error")
	}
	if _, err := queryText(ctx, s, "broken", "SELECT nothing FROM numbers", nil, scanNothing); err == nil {
		t.Error("an unknown column is no error")
	}
	// The server may count a row of a table of its own.
	if got := m.total(); got.Statements != 2 || got.Rows/10 != 100 || got.Bytes/100 != 80 {
		t.Errorf("read %+v, want 1000 rows of 8 bytes in two statements", got)
	}
	ids := make(map[string]bool)
	for line := range strings.Lines(log.String()) {
		var entry struct {
			Name     string `json:"name"`
			QueryID  string `json:"query_id"`
			RowsRead *int64 `json:"rows_read"`
			Failed   bool   `json:"failed"`
		}
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Fatal(err)
		}
		if !entry.Failed || entry.RowsRead == nil || !strings.HasPrefix(entry.QueryID, "atlhyper-"+entry.Name+"-") {
			t.Errorf("logged %s", line)
		}
		ids[entry.QueryID] = true
	}
	if len(ids) != 2 {
		t.Errorf("%d ids of two statements", len(ids))
	}
}

// What stops a statement at a row is told as it is, not as a failure of ClickHouse.
func TestAFaultAtARowStaysOne(t *testing.T) {
	t.Parallel()
	s, exec := emptyStore(t)
	exec("CREATE TABLE numbers ENGINE = MergeTree ORDER BY n AS SELECT number AS n FROM numbers(10)")
	seen := 0
	err := s.each(t.Context(), "numbers", "SELECT n FROM numbers", nil, func(driver.Rows) error {
		if seen++; seen == 3 {
			return tooManySeries(2)
		}
		return nil
	})
	if seen != 3 || !fault.Is(err, fault.ResultTooLarge) {
		t.Errorf("stopped after %d rows with %v", seen, err)
	}
}

func scanNothing(rows driver.Rows) (int, error) { return 0, rows.Scan() }

func FuzzSummary(f *testing.F) {
	f.Add(`{"read_rows":"12","read_bytes":"34","elapsed_ns":"1"}`)
	f.Add(`{"read_rows":12}`)
	f.Add(`{"read_rows":"-1","read_bytes":"18446744073709551615"}`)
	f.Add("")
	f.Fuzz(func(t *testing.T, header string) {
		r := parseSummary(header)
		if r.Statements != 0 || r.Rows < 0 || r.Bytes < 0 || r.Rows > maxReads || r.Bytes > maxReads {
			t.Errorf("%+v", r)
		}
	})
}

func TestSummary(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]Reads{
		`{"read_rows":"12","read_bytes":"34","total_rows_to_read":"99"}`: {Rows: 12, Bytes: 34},
		`{"read_rows":12,"read_bytes":34}`:                               {Rows: 12, Bytes: 34},
		`{"read_rows":"12","read_bytes":"-34"}`:                          {Rows: 12},
		`{"read_rows":"twelve","read_bytes":"34"}`:                       {},
		``: {},
	} {
		if got := parseSummary(header); got != want {
			t.Errorf("%s: %+v, want %+v", header, got, want)
		}
	}
}
