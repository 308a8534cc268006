package master_test

import (
	"bytes"
	"fmt"
	"net/http"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	prommodel "github.com/prometheus/common/model"
	"github.com/redis/go-redis/v9"

	"github.com/atlhyper/observe/master"
	"github.com/atlhyper/observe/redis/beat"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/redis/redistest"
)

// labelBounds is how many values a label may have, whatever is asked for and whatever
// lies in Redis. A metric with a label that is not here fails the test: say why it is
// bounded, and by what.
var labelBounds = map[string]int{
	"route":   120, // patterns of the router
	"status":  40,  // of HTTP, and of clusters
	"code":    20,  // of fault
	"cluster": 1000,
	"section": 40, // that the API has
	"outcome": 16, "reason": 16, "by": 4, "result": 4, "bound": 4, "kind": 8, "pool": 2, "state": 4, "limit": 8, "scope": 8, "mode": 4,
	"version": 2, "goversion": 1, "revision": 1, "le": 16, "quantile": 8,
}

// seriesBound is how many series a replica shows at most: those of 1,000 clusters, and of
// its routes.
const seriesBound = 1000*5 + 3000

// However many clusters there are, and whatever is asked for, the series of a replica are
// bounded.
func TestSeriesAreBounded(t *testing.T) {
	t.Parallel()
	const there = 1200
	server := redistest.Start(t)
	admin := server.Client(t)
	_, err := admin.Pipelined(t.Context(), func(p redis.Pipeliner) error {
		now := time.Now()
		for i := range there {
			c := key.Cluster(fmt.Sprintf("c%04d", i))
			value, err := beat.Beat{Version: fmt.Sprintf("v%d", i)}.Value(now)
			if err != nil {
				return err
			}
			p.HSet(t.Context(), c.Agents(), "a1", value)
			p.HSet(t.Context(), c.Meta(), key.MetaSchema, key.SchemaVersion, key.MetaAt, now.UnixMilli(), key.MetaSeq, 1, key.MetaInterval, 3_600_000,
				key.MetaSections, fmt.Sprintf("metrics.nodes own.%d", i), "metrics.nodes.at", now.UnixMilli(), fmt.Sprintf("own.%d.at", i), now.UnixMilli())
			p.HSet(t.Context(), c.Snapshot(), "metrics.nodes", "x")
			p.ZAdd(t.Context(), key.Clusters, redis.Z{Member: string(c), Score: float64(now.UnixMilli())})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	m := startMaster(t, master.Config{Redis: server.URL()})
	for i := range 10 {
		for _, path := range []string{"/no/such/%d", "/api/v2/observe/metrics/nodes?cluster_id=c%d", "/api/v2/pods/ns/p%d", "/api/v2/clusters/x%d", "/metrics?%d"} {
			m.get(t, fmt.Sprintf(path, i))
		}
	}
	var families map[string]*dto.MetricFamily
	redistest.Eventually(t, "the clusters are shown", func() bool { // at once, unless Redis is slow
		answer := m.get(t, "/metrics")
		if answer.status != http.StatusOK {
			t.Fatalf("%d: %s", answer.status, answer.body)
		}
		parser := expfmt.NewTextParser(prommodel.LegacyValidation)
		if families, err = parser.TextToMetricFamilies(bytes.NewReader(answer.body)); err != nil {
			t.Fatal(err)
		}
		without := families["atlhyper_clusters_without_series"]
		return without != nil && without.GetMetric()[0].GetGauge().GetValue() == there-1000 &&
			len(families["atlhyper_cluster_up"].GetMetric()) == 1000 // there is none of a cluster that Redis did not answer about in time
	})
	checkBounds(t, families)
	for name, want := range map[string]int{
		"atlhyper_cluster_up": 1000, "atlhyper_cluster_last_seen_timestamp_seconds": 1000, "atlhyper_cluster_snapshot_age_seconds": 1000,
		"atlhyper_cluster_sections_failing": 1000, "atlhyper_cluster_queue_length": 1000,
		"atlhyper_section_age_max_seconds": 1, "atlhyper_clusters": 4, "atlhyper_build_info": 1,
	} {
		if n := len(families[name].GetMetric()); n != want {
			t.Errorf("%d series of %s, want %d", n, name, want)
		}
	}
}

// checkBounds wants few series, and labels that are in the table.
func checkBounds(t *testing.T, families map[string]*dto.MetricFamily) {
	t.Helper()
	series := 0
	seen := make(map[string]map[string]bool)
	for name, f := range families {
		for _, m := range f.GetMetric() {
			series++
			if h := m.GetHistogram(); h != nil {
				series += len(h.GetBucket()) + 1
			}
			for _, l := range m.GetLabel() {
				if _, known := labelBounds[l.GetName()]; !known {
					t.Errorf("%s has the label %s, and nothing says that it is bounded", name, l.GetName())
				}
				if seen[l.GetName()] == nil {
					seen[l.GetName()] = make(map[string]bool)
				}
				seen[l.GetName()][l.GetValue()] = true
			}
		}
	}
	for label, all := range seen {
		if most := labelBounds[label]; len(all) > most {
			t.Errorf("the label %s has %d values, want at most %d", label, len(all), most)
		}
	}
	if series > seriesBound {
		t.Errorf("%d series, want at most %d", series, seriesBound)
	}
	t.Logf("%d series", series)
}
