package clustermetrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/atlhyper/observe/redis/metric"
	"github.com/atlhyper/observe/redis/snapshot"
	"github.com/atlhyper/observe/shared/model"
)

// descs are what a Collector shows.
type descs struct {
	clusters, without, failures, oldest      *prometheus.Desc
	up, seen, snapshotAge, failing, queueLen *prometheus.Desc
}

func newDescs() descs {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(metric.Namespace+name, help, labels, nil)
	}
	return descs{
		clusters: desc("clusters", "Clusters that have series of their own, by status; unknown while Redis cannot be asked.", "status"),
		without:  desc("clusters_without_series", "Clusters beyond the first ones by name, which have no series of their own."),
		failures: desc("clusters_look_failures_total", "Looks at all clusters that failed: Redis could not be asked."),
		oldest:   desc("section_age_max_seconds", "How long ago the last successful collection of a section was, in the cluster where it is longest.", "section"),

		up:          desc("cluster_up", "1 when an agent of the cluster beats, else 0; absent while Redis cannot be asked.", "cluster"),
		seen:        desc("cluster_last_seen_timestamp_seconds", "When the last beat or publish of the cluster was, on Redis's clock.", "cluster"),
		snapshotAge: desc("cluster_snapshot_age_seconds", "How long ago the last successful collection of the cluster's oldest section was; absent without a snapshot.", "cluster"),
		failing:     desc("cluster_sections_failing", "Sections of the cluster whose last collection failed; absent without a snapshot.", "cluster"),
		queueLen:    desc("cluster_queue_length", "Commands for the cluster that no agent has taken yet.", "cluster"),
	}
}

// Describe implements prometheus.Collector.
func (c *Collector) Describe(to chan<- *prometheus.Desc) {
	d := c.descs
	for _, one := range []*prometheus.Desc{
		d.clusters, d.without, d.failures, d.oldest, d.up, d.seen, d.snapshotAge, d.failing, d.queueLen,
	} {
		to <- one
	}
}

// Collect implements prometheus.Collector.
func (c *Collector) Collect(to chan<- prometheus.Metric) {
	now, failures := c.look()
	s := sink{descs: c.descs, to: to}
	s.counter(s.failures, failures)
	s.gauge(s.without, float64(now.left))
	byStatus := map[snapshot.Status]int{snapshot.Online: 0, snapshot.Stale: 0, snapshot.Offline: 0, snapshot.Unknown: 0}
	oldest := make(map[model.Section]time.Duration)
	since := time.Since(now.at)
	for i := range now.infos {
		info := &now.infos[i]
		if now.away {
			byStatus[snapshot.Unknown]++
		} else {
			byStatus[info.Status]++
		}
		if !info.LastSeen.IsZero() {
			s.gauge(s.seen, float64(info.LastSeen.UnixMilli())/1000, string(info.ID))
		}
		if now.away || info.Status == snapshot.Unknown {
			continue // nobody knows
		}
		s.cluster(info, since)
		if info.State == snapshot.SnapshotLive {
			c.older(oldest, info, since)
		}
	}
	for status, n := range byStatus {
		s.gauge(s.clusters, float64(n), string(status))
	}
	for name, age := range oldest {
		s.gauge(s.oldest, age.Seconds(), string(name))
	}
}

// older keeps of each section that may be a label the greatest age.
func (c *Collector) older(oldest map[model.Section]time.Duration, info *snapshot.ClusterInfo, since time.Duration) {
	for name, meta := range info.Sections {
		if c.known[name] && !meta.At.IsZero() {
			oldest[name] = max(oldest[name], meta.Age+since)
		}
	}
}

// sink takes the series of one scrape.
type sink struct {
	descs
	to chan<- prometheus.Metric
}

func (s sink) gauge(d *prometheus.Desc, value float64, labels ...string) {
	s.to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
}

func (s sink) counter(d *prometheus.Desc, value float64) {
	s.to <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, value)
}

// cluster shows one that Redis was asked about, since ago.
func (s sink) cluster(info *snapshot.ClusterInfo, since time.Duration) {
	id, up := string(info.ID), 0.0
	for _, a := range info.Agents {
		if a.Live {
			up = 1
		}
	}
	s.gauge(s.up, up, id)
	if info.Queue >= 0 {
		s.gauge(s.queueLen, float64(info.Queue), id)
	}
	if info.State != snapshot.SnapshotLive {
		return
	}
	failing, age, collected := 0, time.Duration(0), false
	for _, meta := range info.Sections {
		if meta.Error != "" {
			failing++
		}
		if !meta.At.IsZero() {
			age, collected = max(age, meta.Age+since), true
		}
	}
	s.gauge(s.failing, float64(failing), id)
	if collected {
		s.gauge(s.snapshotAge, age.Seconds(), id)
	}
}
