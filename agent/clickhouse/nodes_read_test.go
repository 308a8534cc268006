package clickhouse

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/atlhyper/observe/loadtest/telemetry"
)

// What nodes sent is read by statements of its own, for speed. They give what
// those for series give, whatever the samples are: with resets, stale and missed
// scrapes, rows written twice, keys in another order, increments, two exporters
// that say the same, and metrics in both tables.
func TestNodeRowsAreTheSeries(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same samples each time
	rows := captured(t)
	for node := range 12 {
		resource := exporter("10.0.0."+strconv.Itoa(node/2)).with("pod", strconv.Itoa(random.IntN(3)))
		for metric := range 6 {
			for cpu := range 3 {
				labels := pairs{"cpu": strconv.Itoa(cpu), "mode": "idle", "other": strconv.Itoa(random.IntN(2))}
				sums := counter([]string{cpuSeconds, "node_disk_read_bytes_total", "node_vmstat_pgfault", "system.cpu.time", "node_load1", "system.memory.usage"}[metric],
					resource, labels, -5*sec, 15*sec, randomCounter(random)...)
				for i := range sums {
					sums[i].Monotonic = metric < 4
				}
				for i := range sums {
					switch random.IntN(12) {
					case 0:
						sums[i] = stale(sums[i])
					case 1:
						sums = append(sums, sums[i]) // written twice
						sums[i].Value += 3
					case 2:
						sums[i].Temporality = telemetry.TemporalityDelta
					}
					if random.IntN(3) == 0 {
						rows.Gauges = append(rows.Gauges, telemetry.GaugePoint{Point: sums[i].Point, Value: sums[i].Value})
					}
				}
				rows.Sums = append(rows.Sums, sums...)
			}
		}
	}
	s, exec := metricsStore(t, rows)
	for _, table := range []string{"otel_metrics_sum", "otel_metrics_gauge"} {
		// Some again with their keys the other way round, a moment later.
		exec("INSERT INTO " + table + ` SELECT * REPLACE (
			mapFromArrays(arrayReverse(mapKeys(Attributes)), arrayReverse(mapValues(Attributes))) AS Attributes,
			mapFromArrays(arrayReverse(mapKeys(ResourceAttributes)), arrayReverse(mapValues(ResourceAttributes))) AS ResourceAttributes,
			TimeUnix + cityHash64(Value) % 3 AS TimeUnix, Value * 0.9 AS Value) FROM ` + table + " WHERE cityHash64(TimeUnix, MetricName) % 3 = 0")
	}
	w := fiveMinutes()
	for rowsName, c := range map[string]struct {
		series  string
		metrics []string
	}{
		nodeSumRows:   {sumSeries, append(nodeCounters(), hostMetrics()...)},
		nodeGaugeRows: {gaugeSeries, append(nodeGauges(), hostMetrics()...)},
	} {
		series, err := s.readSeries(t.Context(), c.series, seriesQuery{
			metrics: c.metrics, window: w, resourceKeys: nodeAttributes(), attributeKeys: nodeLabels(),
		})
		if err != nil {
			t.Fatal(err)
		}
		texts := newLabelTexts()
		var got, want []reduced
		err = s.streamNodes(t.Context(), rowsName, c.metrics, w, func(rows driver.Rows) error {
			row, err := scanNodeRow(rows, texts)
			got = append(got, reducedOf(&row.series))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		for i := range series {
			want = append(want, reducedOf(&series[i]))
		}
		slices.SortFunc(got, reduced.compare)
		slices.SortFunc(want, reduced.compare)
		if len(want) < 300 {
			t.Errorf("%s: only %d series", c.series, len(want))
		}
		checkEqual(t, rowsName, got, want)
	}
}

// reduced is what there is to say of a series of plain numbers.
type reduced struct {
	Metric, Resource, Labels   string
	Delta, Monotonic           bool
	Samples, FirstMs, LastMs   int64
	First, Last, Growth, Total float64
}

func reducedOf(s *series) reduced {
	return reduced{
		s.metric, s.resource.key(), s.attributes.key(), s.delta, s.monotonic, s.samples, s.firstMs, s.lastMs,
		s.first[0], s.last[0], s.growth[0], s.total[0],
	}
}

func (r reduced) compare(o reduced) int {
	return cmp.Or(cmp.Compare(r.Metric, o.Metric), cmp.Compare(r.Resource, o.Resource), cmp.Compare(r.Labels, o.Labels),
		cmp.Compare(r.Samples, o.Samples), cmp.Compare(r.FirstMs, o.FirstMs), cmp.Compare(r.LastMs, o.LastMs),
		cmp.Compare(r.First, o.First), cmp.Compare(r.Last, o.Last))
}

func randomCounter(random *rand.Rand) []float64 {
	values := make([]float64, 5+random.IntN(20))
	v := float64(random.IntN(1000))
	for i := range values {
		v += random.Float64() * 100
		if random.IntN(8) == 0 {
			v = random.Float64() // a restart
		}
		values[i] = v
	}
	return values
}
