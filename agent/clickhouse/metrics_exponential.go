package clickhouse

import (
	"errors"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// minScale is the coarsest scale that means anything: its buckets 0 and -1 hold
// all that a float64 can be.
const minScale = -10

// exponentialRow is the columns of the samples in an answer of
// sql/exp_histogram_series.sql, which are parallel arrays.
type exponentialRow struct {
	counts, sums, zeros            []float64
	scales                         []int64
	positiveKeys, negativeKeys     [][]int64
	positiveCounts, negativeCounts [][]uint64
}

func scanExponential(rows driver.Rows) (series, error) {
	var (
		s                    series
		samples              uint64
		resource, attributes map[string]string
		r                    exponentialRow
	)
	err := rows.Scan(&s.metric, &s.slot, &s.delta, &s.id, &s.target, &s.unit, &resource, &attributes,
		&samples, &s.firstMs, &s.lastMs, &r.counts, &r.sums, &r.zeros, &r.scales,
		&r.positiveKeys, &r.positiveCounts, &r.negativeKeys, &r.negativeCounts)
	if err != nil {
		return series{}, err
	}
	list, err := r.samples()
	if err != nil {
		return series{}, err
	}
	counter := exponentialCounterOf(list)
	s.exponential, s.monotonic = &counter, true
	s.samples, s.resource, s.attributes = int64(samples), resource, attributes //nolint:gosec // a count of rows
	return s, nil
}

// samples are the samples in the order of time, of which there is one at least.
func (r *exponentialRow) samples() ([]exponential, error) {
	n := len(r.counts)
	for _, length := range []int{
		len(r.sums), len(r.zeros), len(r.scales), len(r.positiveKeys), len(r.positiveCounts), len(r.negativeKeys), len(r.negativeCounts),
	} {
		if n == 0 || length != n {
			return nil, errors.New("exponential histograms: columns of different lengths")
		}
	}
	out := make([]exponential, n)
	for i := range out {
		positive, err := exponentialBuckets(r.positiveKeys[i], r.positiveCounts[i])
		if err != nil {
			return nil, err
		}
		negative, err := exponentialBuckets(r.negativeKeys[i], r.negativeCounts[i])
		if err != nil {
			return nil, err
		}
		e := exponential{
			scale: max(r.scales[i], minScale), count: r.counts[i], sum: r.sums[i], zero: r.zeros[i],
			positive: positive, negative: negative,
		}
		out[i] = e.rescaled(maxScale)
	}
	return out, nil
}

func exponentialBuckets(keys []int64, counts []uint64) (map[int64]float64, error) {
	if len(keys) != len(counts) {
		return nil, errors.New("exponential histograms: buckets of different lengths")
	}
	out := make(map[int64]float64, len(keys))
	for i, k := range keys {
		out[k] += float64(counts[i])
	}
	return out, nil
}
