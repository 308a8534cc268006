package promql

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/atlhyper/observe/agent/clickhouse"
	"github.com/atlhyper/observe/loadtest/chdb/chdbtest"
	"github.com/atlhyper/observe/loadtest/telemetry"
)

// engine is one real ClickHouse for all tests.
var engine chdbtest.Shared

func TestMain(m *testing.M) { os.Exit(engine.Run(m)) }

// world is the same samples in ClickHouse and in Prometheus.
type world struct {
	moment

	cases []testCase
	store *clickhouse.Store
	prom  *prometheus
}

// newWorld loads the cases; the i-th is named nameOf(i).
func (s *suite) newWorld(t *testing.T, m moment, cases []testCase) *world {
	t.Helper()
	var rows telemetry.Rows
	for i, c := range cases {
		for j := range c.series {
			c.series[j].rows(&rows, nameOf(i))
		}
	}
	w := &world{moment: m, cases: cases, store: newStore(t, m, &rows), prom: newPrometheus(t)}
	reference := slices.Clone(cases)
	if s.reference != nil {
		for i, c := range cases {
			reference[i] = s.reference(c)
		}
	}
	w.prom.load(t, reference)
	if m.step > 0 {
		w.prom.mark(t, m, reference)
	}
	return w
}

// newStore writes the rows and opens a store on them. Each row's maps get an
// order of their own, as collectors before v0.116 wrote them.
func newStore(t *testing.T, m moment, rows *telemetry.Rows) *clickhouse.Store {
	t.Helper()
	srv := engine.Server(t)
	sorted, shuffled := srv.Database(t), srv.Database(t)
	for _, db := range []string{sorted, shuffled} {
		if err := telemetry.CreateTables(t.Context(), srv.Open(t, db), ""); err != nil {
			t.Fatal(err)
		}
	}
	if err := rows.Insert(t.Context(), srv.Open(t, sorted), ""); err != nil {
		t.Fatal(err)
	}
	for _, table := range []string{telemetry.TableGauge, telemetry.TableSum, telemetry.TableHistogram, telemetry.TableExpHistogram} {
		srv.Exec(t, fmt.Sprintf("INSERT INTO %s.%s SELECT * REPLACE (%s AS Attributes, %s AS ResourceAttributes) FROM %s.%s",
			shuffled, table, shuffledMap("Attributes"), shuffledMap("ResourceAttributes"), sorted, table))
	}
	store, err := clickhouse.Open(clickhouse.Config{
		DSN: srv.DSN(shuffled), RateWindow: min(m.window, 24*time.Hour), SLOWindow: min(m.window, 24*time.Hour),
		Clock: func() time.Time { return m.at },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return store
}

// shuffledMap is a map column with its keys in an order that depends on the row.
func shuffledMap(column string) string {
	const sql = `mapFromArrays(arraySort(k -> cityHash64(k, rowNumberInAllBlocks(), TimeUnix), mapKeys(COLUMN)),
		arrayMap(k -> COLUMN[k], arraySort(k -> cityHash64(k, rowNumberInAllBlocks(), TimeUnix), mapKeys(COLUMN))))`
	return strings.ReplaceAll(sql, "COLUMN", column)
}

// id names one reported number: the row (node, service, edge), the field, and
// what of the row it is about (a device, a status code).
type id struct {
	row, field, part string
	at               string // of a step
}

func (i id) String() string {
	text := i.row + " " + i.field
	if i.part != "" {
		text += "{" + i.part + "}"
	}
	if i.at != "" {
		text += " at " + i.at
	}
	return text
}

// reported are the numbers of a section. rows are the rows that it lists.
type reported struct {
	rows   map[string]bool
	values map[id]float64
}

func newReported() reported {
	return reported{make(map[string]bool), make(map[id]float64)}
}

func (r reported) set(row, field, part string, v float64) {
	r.setAt(row, field, part, "", v)
}

func (r reported) setAt(row, field, part, at string, v float64) {
	r.rows[row+at] = true
	r.values[id{row, field, part, at}] = v
}

// suite compares one source of numbers.
type suite struct {
	// moments draws what a batch is asked about.
	moments func() *rapid.Generator[moment]
	// generate draws one case.
	generate func(t *rapid.T, m moment) testCase
	// report asks our store.
	report func(ctx context.Context, w *world) (reported, error)
	// queries are what a panel of the same numbers would ask.
	queries []query
	// stepped are the queries instead where they depend on the steps.
	stepped func(m moment) []query
	// reference turns a case into what Prometheus has of it; nil changes nothing.
	reference func(testCase) testCase
	// size is how many cases share a load.
	size int
}
