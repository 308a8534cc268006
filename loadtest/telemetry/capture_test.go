package telemetry

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// TestCreateTables compares the tables with what the exporter's own tables said
// about themselves when the capture was taken.
func TestCreateTables(t *testing.T) {
	t.Parallel()
	srv := engine.Server(t)
	db := srv.Database(t)
	conn := srv.Open(t, db)
	for range 2 { // a second time changes nothing
		if err := CreateTables(t.Context(), conn, db); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{TableTraces, TableTraceTimes, TableLogs, TableGauge, TableSum, TableHistogram, TableSummary} {
		columns, err := srv.Query(t.Context(), db, fmt.Sprintf(
			`SELECT name, type, default_expression FROM system.columns WHERE database = '%s' AND table = '%s' ORDER BY position`, db, name))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(fixtureText(t, name+".columns.tsv"), columns); diff != "" {
			t.Errorf("columns of %s (-exporter +here):\n%s", name, diff)
		}
		keys, err := srv.Query(t.Context(), db, fmt.Sprintf(
			`SELECT partition_key, sorting_key, primary_key FROM system.tables WHERE database = '%s' AND name = '%s'`, db, name))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(fixtureText(t, name+".keys.tsv"), keys); diff != "" {
			t.Errorf("keys of %s (-exporter +here):\n%s", name, diff)
		}
	}
	if err := CreateTables(t.Context(), conn, "a`b"); err == nil {
		t.Error("a database name with a backtick was taken")
	}
}

func fixtureText(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile("fixtures/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestLoadAgainstEngine lets ClickHouse itself read the captured files and
// compares what it finds with the decoded rows, by count and by content, after
// the capture was written through the driver.
func TestLoadAgainstEngine(t *testing.T) {
	t.Parallel()
	c := mustLoad(t)
	srv := engine.Server(t)
	db := srv.Database(t)
	conn := srv.Open(t, db)
	if err := CreateTables(t.Context(), conn, ""); err != nil {
		t.Fatal(err)
	}
	if err := c.Write(t.Context(), conn, "", 0); err != nil {
		t.Fatal(err)
	}
	files, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]int{
		TableTraces: len(c.Spans), TableLogs: len(c.Logs), TableGauge: len(c.Gauges),
		TableSum: len(c.Sums), TableHistogram: len(c.Histograms), TableSummary: len(c.Summaries),
	}
	for name, decoded := range want {
		columns := fixtureColumns(t, name)
		file := fmt.Sprintf("file('%s/fixtures/%s.native.zst', 'Native')", files, name)
		const digest = "SELECT count(), sum(cityHash64(%s)) FROM %s"
		fromFile, err := srv.Query(t.Context(), db, fmt.Sprintf(digest, columns, file))
		if err != nil {
			t.Fatal(err)
		}
		fromTable, err := srv.Query(t.Context(), db, fmt.Sprintf(digest, columns, name))
		if err != nil {
			t.Fatal(err)
		}
		if fromFile != fromTable {
			t.Errorf("%s: the file holds %q, the table %q", name, fromFile, fromTable)
		}
		if !strings.HasPrefix(fromFile, strconv.Itoa(decoded)+"\t") {
			t.Errorf("%s: %d decoded rows, the file holds %q", name, decoded, fromFile)
		}
	}
	// The view filled the lookup: one row for each trace of the one insert.
	lookup, err := srv.Query(t.Context(), db, `
		SELECT count(), countIf((t.Start, t.End) = (l.Start, l.End)) FROM otel_traces_trace_id_ts AS l
		INNER JOIN (SELECT TraceId, toDateTime(min(Timestamp)) AS Start, toDateTime(max(Timestamp)) AS End
			FROM otel_traces GROUP BY TraceId) AS t USING TraceId`)
	if err != nil {
		t.Fatal(err)
	}
	if lookup != "694\t694\n" {
		t.Errorf("lookup rows, those that are right: %q", lookup)
	}
}

// fixtureColumns lists the columns that can be inserted, quoted.
func fixtureColumns(t *testing.T, name string) string {
	t.Helper()
	var columns []string
	lines := bufio.NewScanner(strings.NewReader(fixtureText(t, name+".columns.tsv")))
	for lines.Scan() {
		f := strings.Split(lines.Text(), "\t")
		if f[2] == "" {
			columns = append(columns, "`"+f[0]+"`")
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return strings.Join(columns, ", ")
}

func TestShifted(t *testing.T) {
	t.Parallel()
	c := mustLoad(t)
	const by = 90*24*time.Hour + 17*time.Second
	rows := c.Shifted(by + 300*time.Millisecond)
	if rows.Len() != c.Len() {
		t.Fatalf("%d rows, want %d", rows.Len(), c.Len())
	}
	for i := range c.Spans {
		want := c.Spans[i]
		want.Timestamp = want.Timestamp.Add(by)
		want.Events = nil
		for _, e := range c.Spans[i].Events {
			e.Timestamp = e.Timestamp.Add(by)
			want.Events = append(want.Events, e)
		}
		if diff := cmp.Diff(want, rows.Spans[i], cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("span %d (-want +got):\n%s", i, diff)
		}
	}
	for i := range c.Gauges {
		before, after := &c.Gauges[i], &rows.Gauges[i]
		moved := 0.0
		switch before.MetricName {
		case "node_time_seconds", "node_boot_time_seconds", "process_start_time_seconds", "go_memstats_last_gc_time_seconds":
			moved = by.Seconds()
		}
		if after.Time.Sub(before.Time) != by || after.Value != before.Value+moved || !after.StartTime.Equal(before.StartTime) {
			t.Fatalf("gauge %d: %+v became %+v", i, before, after)
		}
	}
}

// TestDecodeNativeRejects cuts and spoils a block in every place.
func TestDecodeNativeRejects(t *testing.T) {
	t.Parallel()
	block := []byte("\x03\x01\x07TraceId\x06String\x01a\x05Start\x08DateTime\x01\x00\x00\x00\x03End\x08DateTime\x02\x00\x00\x00")
	rows, err := decodeNative(traceTimesTable(), bytes.NewReader(append(block, block...)), interner{})
	if err != nil {
		t.Fatal(err)
	}
	want := TraceTimes{TraceID: "a", Start: time.Unix(1, 0).UTC(), End: time.Unix(2, 0).UTC()}
	if diff := cmp.Diff([]TraceTimes{want, want}, rows); diff != "" {
		t.Error(diff)
	}
	for n := 1; n < len(block); n++ {
		if _, err := decodeNative(traceTimesTable(), bytes.NewReader(block[:n]), interner{}); err == nil {
			t.Errorf("%d of %d bytes were taken for a block", n, len(block))
		}
	}
	renamed := bytes.Replace(block, []byte("Start"), []byte("Begin"), 1)
	if _, err := decodeNative(traceTimesTable(), bytes.NewReader(renamed), interner{}); err == nil {
		t.Error("a block without the column Start was taken")
	}
}
