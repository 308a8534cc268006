package promql

import (
	"cmp"
	"flag"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql"
	"pgregory.net/rapid"
)

var (
	seedFlag  = flag.Int("seed", 0, "seed of the random cases; 0 draws one and prints it")
	leastFlag = flag.Bool("least", true, "make a failing case smaller before it is printed")
	batchFlag = flag.Int("batches", 4, "loads of random cases for each suite")
)

// query is a PromQL expression and the field that it is the truth of. $w stands
// for the window.
type query struct {
	field string
	expr  string
	// row and part are the labels of the result that make the id, joined with "/".
	row, part []string
	// whole is for counts that are reported as whole numbers.
	whole bool
	// below and above are expr at the quantile a little less and a little more;
	// "" for all but quantiles.
	below, above string
	// buckets is for counts cumulative over le that are reported per bucket in
	// milliseconds; this is milliseconds per unit. 0 for all others.
	buckets float64
	// presence is for the one field whose value 0 a row may be left out for.
	presence bool
}

// The relative tolerance. Both sides evaluate the same formulas over samples that
// float64 holds exactly; they differ in the order of additions and divisions, by
// some 1e-15 a step. What the product sends is rounded to 14 digits only later.
const tolerance = 1e-9

// nearQuantile is how far apart quantiles may be taken. histogram_quantile jumps
// where the rank meets a bucket's end and empty buckets follow, so the last bit
// of a sum decides between two answers, in Prometheus too.
const nearQuantile = 1e-9

// difference is a number on which the two sides do not agree.
type difference struct {
	id
	ours, theirs float64
	expr         string
}

func (d difference) String() string {
	return fmt.Sprintf("%s: ours %.17g, PromQL's %.17g\n    %s", d.id, d.ours, d.theirs, d.expr)
}

// quantileOf is a query for a quantile, scaled to milliseconds.
func quantileOf(q query, level, scale float64, buckets string) query {
	at := func(level float64) string {
		return fmt.Sprintf("%v * histogram_quantile(%.12g, %s)", scale, level, buckets)
	}
	q.expr, q.below, q.above = at(level), at(level-nearQuantile), at(level+nearQuantile)
	return q
}

func (w *world) expression(expr string) string {
	return strings.NewReplacer(
		"$w", fmt.Sprintf("%dms", w.window.Milliseconds()), "$s", fmt.Sprint(w.window.Seconds()),
	).Replace(expr)
}

// values evaluates an expression of a query by id, at the ends of all steps if
// there are any; NaN is no value.
func (q *query) values(t *testing.T, w *world, expr string) map[id]float64 {
	t.Helper()
	expr = w.expression(expr)
	if q.buckets != 0 {
		return q.perBucket(w.prom.query(t, expr, w.at))
	}
	out := make(map[id]float64)
	for _, at := range w.ends() {
		for _, s := range w.prom.query(t, expr, at) {
			if !math.IsNaN(s.F) {
				key := q.id(s)
				key.at = w.mark(at)
				out[key] = s.F
			}
		}
	}
	return out
}

func (q *query) id(s promql.Sample) id {
	return id{row: joined(s, q.row), field: q.field, part: joined(s, q.part)}
}

func joined(s promql.Sample, names []string) string {
	values := make([]string, len(names))
	for i, name := range names {
		values[i] = s.Metric.Get(name)
	}
	return strings.Join(values, "/")
}

// compare returns the numbers on which the store and PromQL differ, and how many
// were compared. A number that one side lacks counts as 0: we report zeros where
// PromQL has no series, and leave out rows and counts that are 0.
func (s *suite) compare(t *testing.T, w *world) (differences []difference, compared int) {
	t.Helper()
	ours, err := s.report(t.Context(), w)
	if err != nil {
		t.Fatal(err)
	}
	known := make(map[string]bool)
	queries := s.queries
	if s.stepped != nil {
		queries = s.stepped(w.moment)
	}
	for i := range queries {
		q := &queries[i]
		known[q.field] = true
		theirs := q.values(t, w, q.expr)
		ids := make(map[id]bool)
		for key := range theirs {
			ids[key] = true
		}
		for key := range ours.values {
			if key.field == q.field {
				ids[key] = true
			}
		}
		for key := range ids {
			if !ours.rows[key.row+key.at] && !q.presence {
				continue // the query for presence decides
			}
			compared++
			if a, b := ours.values[key], theirs[key]; !q.equal(a, b) {
				differences = append(differences, difference{key, a, b, w.expression(q.expr)})
			}
		}
		if q.below != "" {
			differences = q.withoutJumps(t, w, differences)
		}
	}
	for key := range ours.values {
		if !known[key.field] {
			t.Fatalf("nothing compares %s", key)
		}
	}
	return differences, compared
}

func (q *query) equal(ours, theirs float64) bool {
	if q.whole && math.Abs(ours-math.Round(ours)) > 0 {
		return false
	}
	allowed := tolerance * max(math.Abs(ours), math.Abs(theirs))
	switch {
	case q.whole:
		allowed += 0.5
	case strings.HasSuffix(q.field, "Pct") || strings.HasSuffix(q.field, "Rate"):
		allowed += tolerance * 100 // 100 less what was computed
	}
	return math.Abs(ours-theirs) <= allowed
}

// withoutJumps drops the differences of a quantile that the quantiles next to it
// explain.
func (q *query) withoutJumps(t *testing.T, w *world, differences []difference) []difference {
	t.Helper()
	mine := func(d difference) bool { return d.field == q.field }
	if !slices.ContainsFunc(differences, mine) {
		return differences
	}
	below, above := q.values(t, w, q.below), q.values(t, w, q.above)
	return slices.DeleteFunc(differences, func(d difference) bool {
		slack := tolerance*math.Abs(d.ours) + 1e-6*math.Abs(below[d.id]-above[d.id])
		return mine(d) && d.ours >= below[d.id]-slack && d.ours <= above[d.id]+slack
	})
}

// run compares batches of random cases. Of a failing batch it prints the least
// case that still fails.
func (s *suite) run(t *testing.T) {
	t.Helper()
	seed := *seedFlag
	if seed == 0 {
		seed = rand.IntN(math.MaxInt32) + 1
	}
	cases, compared := 0, 0
	began := time.Now()
	for batch := range *batchFlag {
		at := seed + batch*1_000_000
		m := s.moments().Example(at)
		generator := rapid.Custom(func(t *rapid.T) testCase { return s.generate(t, m) })
		list := make([]testCase, s.size)
		for i := range list {
			list[i] = generator.Example(at + 1 + i)
		}
		differences, n := s.compare(t, s.newWorld(t, m, list))
		compared += n
		cases += len(list)
		if len(differences) > 0 {
			t.Fatalf("seed %d: %d of %d numbers differ, of %v\n%s", seed, len(differences), n, fields(differences), s.least(t, m, list, differences))
		}
	}
	t.Logf("seed %d: %d cases, %d numbers compared in %s", seed, cases, compared, time.Since(began).Round(time.Millisecond))
}

// failing is the case a difference is about.
func failing(differences []difference) map[int][]difference {
	out := make(map[int][]difference)
	for _, d := range differences {
		var n int
		if _, err := fmt.Sscanf(strings.TrimLeft(d.row, "/"), "c%d", &n); err != nil {
			n = -1
		}
		out[n] = append(out[n], d)
	}
	return out
}

// least makes the smallest failing case smaller as long as it fails, many tries
// to a load, and describes it.
func (s *suite) least(t *testing.T, m moment, cases []testCase, differences []difference) string {
	t.Helper()
	best, found := smallest(cases, failing(differences))
	for range 40 {
		if !*leastFlag {
			break
		}
		tries := best.smaller()
		if len(tries) == 0 {
			break
		}
		differences, _ := s.compare(t, s.newWorld(t, m, tries))
		if len(differences) == 0 {
			break
		}
		best, found = smallest(tries, failing(differences))
	}
	var b strings.Builder
	fmt.Fprintf(&b, "The window is %s; the case:\n%s", m, best)
	for _, d := range found {
		fmt.Fprintf(&b, "  %s\n", d)
	}
	return b.String()
}

func smallest(cases []testCase, differences map[int][]difference) (testCase, []difference) {
	var best testCase
	at := -1
	for _, i := range slices.Sorted(maps.Keys(differences)) {
		if i < 0 || i >= len(cases) {
			return testCase{}, differences[i]
		}
		if at < 0 || cases[i].points() < best.points() {
			at, best = i, cases[i]
		}
	}
	return best, differences[at]
}

// smaller lists cases with one thing less: a series, some samples, a copy.
func (c testCase) smaller() []testCase {
	var out []testCase
	for i := range c.series {
		out = append(out, testCase{slices.Delete(slices.Clone(c.series), i, i+1)})
	}
	if len(c.series) > 6 {
		half := len(c.series) / 2
		return append(out, testCase{slices.Clone(c.series[:half])}, testCase{slices.Clone(c.series[half:])})
	}
	with := func(i int, points []point) {
		changed := slices.Clone(c.series)
		changed[i].points = points
		out = append(out, testCase{changed})
	}
	for i := range c.series {
		points := c.series[i].points
		for size := len(points) / 2; size > 0; size /= 2 {
			for from := 0; from+size <= len(points); from += size {
				with(i, slices.Delete(slices.Clone(points), from, from+size))
			}
		}
		for j := range points {
			if points[j].twice {
				once := slices.Clone(points)
				once[j].twice = false
				with(i, once)
			}
		}
	}
	return out
}

// perBucket turns counts cumulative over le into counts per finite bucket, made
// monotonic as histogram_quantile does.
func (q *query) perBucket(v promql.Vector) map[id]float64 {
	type bucket struct{ le, count float64 }
	rows := make(map[string][]bucket)
	for _, s := range v {
		var le float64
		if s.H != nil {
			for le, count := range upToPowers(s.H) {
				rows[joined(s, q.row)] = append(rows[joined(s, q.row)], bucket{le, count})
			}
			continue
		}
		if _, err := fmt.Sscan(s.Metric.Get("le"), &le); err != nil {
			panic(fmt.Sprintf("le of %s: %v", s.Metric, err))
		}
		rows[joined(s, q.row)] = append(rows[joined(s, q.row)], bucket{le, s.F})
	}
	out := make(map[id]float64)
	for row, buckets := range rows {
		slices.SortFunc(buckets, func(a, b bucket) int { return cmp.Compare(a.le, b.le) })
		before := 0.0
		for _, b := range buckets {
			if !math.IsInf(b.le, 1) {
				out[id{row: row, field: q.field, part: bound(b.le * q.buckets)}] = max(0, b.count-before)
			}
			before = max(before, b.count)
		}
	}
	return out
}

// bound is the name of a bucket.
func bound(ms float64) string { return fmt.Sprintf("%.9g", ms) }

// fields counts differences by field.
func fields(differences []difference) map[string]int {
	out := make(map[string]int)
	for _, d := range differences {
		out[d.field]++
	}
	return out
}
