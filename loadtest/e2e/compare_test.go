package e2e_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// tolerance is for floats that two programs computed with the same formula:
// they may add up in another order, and what travels is rounded to 14 digits.
const tolerance = 1e-9

func closeTo(a, b float64) bool {
	return math.Abs(a-b) <= tolerance*math.Max(1, math.Max(math.Abs(a), math.Abs(b)))
}

// equal compares what was computed from the rows with what a master answered.
func equal[T any](tb testing.TB, what string, want, got T, opts ...cmp.Option) {
	tb.Helper()
	if diff := cmp.Diff(want, got, append(opts, cmp.Comparer(closeTo))...); diff != "" {
		tb.Errorf("%s: -from the rows +answered\n%s", what, clip(diff, 60))
	}
}

// clip keeps the first lines of a long text.
func clip(text string, lines int) string {
	all := strings.Split(text, "\n")
	if len(all) <= lines {
		return text
	}
	return strings.Join(all[:lines], "\n") + "\n..."
}

// quantileOf interpolates linearly between the ranks of ascending values, as
// PromQL's quantile_over_time does.
func quantileOf(q float64, ascending []float64) float64 {
	rank := q * float64(len(ascending)-1)
	low := math.Floor(rank)
	high := math.Min(low+1, float64(len(ascending)-1))
	return ascending[int(low)] + (ascending[int(high)]-ascending[int(low)])*(rank-low)
}

// quantileNear accepts the exact quantile; of more than exact values also one
// that a sample of that size may give: within four standard errors of its rank.
func quantileNear(q float64, ascending []float64, got float64, exact int) bool {
	if len(ascending) == 0 {
		return got == 0
	}
	if len(ascending) <= exact {
		return closeTo(quantileOf(q, ascending), got)
	}
	off := 4 * math.Sqrt(q*(1-q)/float64(exact))
	return got >= quantileOf(math.Max(0, q-off), ascending) && got <= quantileOf(math.Min(1, q+off), ascending)
}

// eventually polls until the condition holds; the test's deadline or a minute
// ends it.
func eventually(tb testing.TB, what string, condition func() bool) {
	tb.Helper()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	timeout := time.NewTimer(time.Minute)
	defer timeout.Stop()
	for !condition() {
		select {
		case <-ticker.C:
		case <-timeout.C:
			tb.Fatalf("waited a minute in vain: %s", what)
		case <-tb.Context().Done():
			tb.Fatalf("the test ended before: %s", what)
		}
	}
}
