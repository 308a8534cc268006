// Package metric shows to Prometheus what components count anyway: a component
// keeps its counters as atomics, for its tests and for whoever embeds it, and
// registers a table of them.
package metric

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// Namespace starts the name of every metric.
const Namespace = "atlhyper_"

// Row is one metric of a component's table, or one label value of one.
type Row struct {
	// Name after Namespace: a counter's ends in _total.
	Name string
	// Help is the sentence that Prometheus shows; the same in all rows of a Name.
	Help string
	// Label and Value are the one label of the metric; "" for none.
	Label, Value string
	// Counter is what only grows; set it or Gauge.
	Counter *atomic.Int64
	// Gauge is asked at each scrape.
	Gauge func() float64
}

// Register adds the rows and the other collectors of a component. A nil Registerer
// means that nobody asks. The error names what is there already.
func Register(to prometheus.Registerer, rows []Row, others ...prometheus.Collector) error {
	if to == nil {
		return nil
	}
	var errs []error
	for _, r := range rows {
		if err := to.Register(r.collector()); err != nil {
			errs = append(errs, fmt.Errorf("metric %s %s: %w", r.Name, r.Value, err))
		}
	}
	for _, c := range others {
		if err := to.Register(c); err != nil {
			errs = append(errs, fmt.Errorf("metric: %w", err))
		}
	}
	return errors.Join(errs...)
}

func (r Row) collector() prometheus.Collector {
	var labels prometheus.Labels
	if r.Label != "" {
		labels = prometheus.Labels{r.Label: r.Value}
	}
	if r.Counter != nil {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: Namespace + r.Name, Help: r.Help, ConstLabels: labels},
			func() float64 { return float64(r.Counter.Load()) })
	}
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: Namespace + r.Name, Help: r.Help, ConstLabels: labels}, r.Gauge)
}

// Seconds returns a histogram of durations from 1 ms to 60 s: what a request of
// this product can take.
func Seconds(name, help string) prometheus.Histogram { return seconds(name, help, nil) }

// SecondsOf is Seconds for one value of a label.
func SecondsOf(name, help, label, value string) prometheus.Histogram {
	return seconds(name, help, prometheus.Labels{label: value})
}

func seconds(name, help string, labels prometheus.Labels) prometheus.Histogram {
	return prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: Namespace + name, Help: help, ConstLabels: labels,
		Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60},
	})
}
