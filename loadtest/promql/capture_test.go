package promql

import (
	"fmt"
	"maps"
	"regexp"
	"testing"
	"time"

	"github.com/atlhyper/observe/loadtest/telemetry"
)

// TestCapture compares what a real collector wrote: node_exporter, Traefik and
// ingress-nginx with their real values, restarts and stale rows.
func TestCapture(t *testing.T) {
	t.Parallel()
	capture, err := telemetry.Load()
	if err != nil {
		t.Fatal(err)
	}
	c := captured(&capture.Rows)
	traefik, nginx := traefikSource(), nginxSource()
	for name, s := range map[string]suite{
		"nodes":   {report: reportNodes, queries: nodeQueries()},
		"ingress": {report: reportIngress, queries: append(traefik.queries(), nginx.queries()...)},
	} {
		for _, after := range []time.Duration{2*time.Minute + 13*time.Second, 6 * time.Minute, 10*time.Minute + 500*time.Millisecond} {
			t.Run(fmt.Sprint(name, " after ", after), func(t *testing.T) {
				t.Parallel()
				m := moment{at: capture.Start.Add(after), window: 5 * time.Minute}
				differences, compared := s.compare(t, s.newWorld(t, m, []testCase{c}))
				for _, d := range differences {
					t.Error(d)
				}
				if compared < 80 {
					t.Errorf("only %d numbers were compared", compared)
				}
			})
		}
	}
}

// captured are the series of the capture that dashboards of nodes and ingress
// ask for, with the host as the instance of nodes.
func captured(rows *telemetry.Rows) testCase {
	wanted := regexp.MustCompile(`^(node_(cpu_seconds|disk_.*|network_.*|pressure_.*|softnet_.*)_total|node_vmstat_.*|traefik_service_.*|nginx_ingress_controller_.*)$`)
	list := make(map[string]*series)
	var order []string
	add := func(p *telemetry.Point, table table, at point) {
		if !wanted.MatchString(p.MetricName) || p.Attributes["device"] == "lo" {
			return
		}
		key := fmt.Sprint(p.ServiceName, p.Resource, p.MetricName, p.Attributes)
		if list[key] == nil {
			s := &series{
				metric: p.MetricName, table: table, job: p.ServiceName, labels: p.Attributes,
				instance: p.Resource["service.instance.id"], resource: maps.Clone(p.Resource),
			}
			if p.ServiceName == "node-exporter" {
				s.instance = p.Resource["server.address"]
			}
			list[key], order = s, append(order, key)
		}
		at.at, at.stale = p.Time.Unix(), p.Stale()
		list[key].points = append(list[key].points, at)
	}
	for i := range rows.Gauges {
		add(&rows.Gauges[i].Point, gaugeTable, point{value: rows.Gauges[i].Value})
	}
	for i := range rows.Sums {
		add(&rows.Sums[i].Point, sumTable, point{value: rows.Sums[i].Value})
	}
	for i := range rows.Histograms {
		h := &rows.Histograms[i]
		add(&h.Point, histogramTable, point{buckets: h.BucketCounts, bounds: h.Bounds, sum: h.Sum})
	}
	var c testCase
	for _, key := range order {
		c.series = append(c.series, *list[key])
	}
	return c
}
