package clickhouse

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/atlhyper/observe/loadtest/telemetry"
	"github.com/atlhyper/observe/shared/detail"
)

// While one pages, records arrive at any time of the range, many at equal times:
// each that was there at first is on exactly one page, each that arrived behind
// the place of the cursor too, and no other on more than one.
func TestLogPagesWhileRecordsArrive(t *testing.T) {
	t.Parallel()
	for i, table := range []string{"", "logs_json", "logs_v0.107", "logs_v0.103", "logs_custom"} {
		t.Run("table "+table, func(t *testing.T) {
			t.Parallel()
			d := newDatabase(t)
			if table == "" {
				d.exporterTables(telemetry.Rows{})
			} else {
				d.create(table)
			}
			s := d.store()
			rng := rand.New(rand.NewPCG(uint64(i), 5)) //nolint:gosec // a small number
			at := make(map[string]time.Time)
			// Few times, to the nanosecond, across the boundary of five minutes.
			arrive := func(n int) {
				values := make([]string, 0, n)
				for range n {
					body := fmt.Sprintf("record %d", len(at))
					at[body] = testNow.Add(-5*time.Minute + time.Duration(rng.IntN(8)-4)*time.Nanosecond - time.Duration(rng.IntN(2))*time.Hour)
					values = append(values, fmt.Sprintf("(%d, '%s', 's%d')", at[body].UnixNano(), body, rng.IntN(2)))
				}
				d.exec("INSERT INTO otel_logs (Timestamp, Body, ServiceName) VALUES " + strings.Join(values, ", "))
			}
			arrive(80)
			want := make(map[string]bool) // must be on a page
			for body := range at {
				want[body] = true
			}
			shown := make(map[string]int)
			cursor := ""
			for page := 0; ; page++ {
				if page > 100 {
					t.Fatal("the pages do not end")
				}
				got, meta := mustLogs(t, s, func(r *detail.Logs) {
					r.Range, r.Limit, r.Cursor = before(3*time.Hour), 1+rng.Int64N(20), cursor
				})
				for _, l := range got.Logs {
					shown[l.Body]++
				}
				if cursor = meta.NextCursor; cursor == "" {
					break
				}
				last := got.Logs[len(got.Logs)-1]
				known := len(at)
				arrive(rng.IntN(6))
				for n := known; n < len(at); n++ {
					body := fmt.Sprintf("record %d", n)
					if at[body].Before(at[last.Body]) {
						want[body] = true
					}
				}
			}
			for body := range at {
				if n := shown[body]; n > 1 || want[body] && n == 0 {
					t.Errorf("%s of %s is on %d pages", body, at[body], n)
				}
			}
		})
	}
}
