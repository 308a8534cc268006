package telemetry

import (
	"slices"
	"time"
)

// pointFields lists the columns that the metric tables begin with.
func pointFields(p *Point) []field {
	return []field{
		{"ResourceAttributes", &p.Resource},
		{"ResourceSchemaUrl", &p.ResourceSchemaURL},
		{"ScopeName", &p.ScopeName},
		{"ScopeVersion", &p.ScopeVersion},
		{"ScopeAttributes", &p.ScopeAttributes},
		{"ScopeDroppedAttrCount", &p.ScopeDroppedAttrCount},
		{"ScopeSchemaUrl", &p.ScopeSchemaURL},
		{"ServiceName", &p.ServiceName},
		{"MetricName", &p.MetricName},
		{"MetricDescription", &p.Description},
		{"MetricUnit", &p.Unit},
		{"Attributes", &p.Attributes},
		{"StartTimeUnix", &p.StartTime},
		{"TimeUnix", &p.Time},
	}
}

// exemplarArrays is the nested column Exemplars as parallel arrays.
type exemplarArrays struct {
	attributes []Attributes
	times      []time.Time
	values     []float64
	spans      []string
	traces     []string
}

func (a *exemplarArrays) fields() []field {
	return []field{
		{"Exemplars.FilteredAttributes", &a.attributes},
		{"Exemplars.TimeUnix", &a.times},
		{"Exemplars.Value", &a.values},
		{"Exemplars.SpanId", &a.spans},
		{"Exemplars.TraceId", &a.traces},
	}
}

func (a *exemplarArrays) pack(exemplars []Exemplar) {
	for _, e := range exemplars {
		a.attributes = append(a.attributes, e.FilteredAttributes)
		a.times = append(a.times, e.Time)
		a.values = append(a.values, e.Value)
		a.spans = append(a.spans, e.SpanID)
		a.traces = append(a.traces, e.TraceID)
	}
}

func (a *exemplarArrays) unpack() ([]Exemplar, error) {
	err := sameLength("Exemplars", len(a.attributes), len(a.times), len(a.values), len(a.spans), len(a.traces))
	if err != nil {
		return nil, err
	}
	var exemplars []Exemplar
	for i := range a.times {
		exemplars = append(exemplars, Exemplar{a.attributes[i], a.times[i].UTC(), a.values[i], a.spans[i], a.traces[i]})
	}
	return exemplars, nil
}

type gaugeWire struct {
	*GaugePoint
	exemplars exemplarArrays
}

func (w *gaugeWire) fields() []field {
	return slices.Concat(pointFields(&w.Point),
		[]field{{"Value", &w.Value}, {"Flags", &w.Flags}},
		w.exemplars.fields())
}

func (w *gaugeWire) pack() { w.exemplars.pack(w.Exemplars) }

func (w *gaugeWire) unpack() (err error) {
	w.Exemplars, err = w.exemplars.unpack()
	return err
}

type sumWire struct {
	*SumPoint
	exemplars   exemplarArrays
	temporality int32
}

func (w *sumWire) fields() []field {
	return slices.Concat(pointFields(&w.Point),
		[]field{{"Value", &w.Value}, {"Flags", &w.Flags}},
		w.exemplars.fields(),
		[]field{{"AggregationTemporality", &w.temporality}, {"IsMonotonic", &w.Monotonic}})
}

func (w *sumWire) pack() {
	w.temporality = int32(w.Temporality)
	w.exemplars.pack(w.Exemplars)
}

func (w *sumWire) unpack() (err error) {
	w.Temporality = Temporality(w.temporality)
	w.Exemplars, err = w.exemplars.unpack()
	return err
}

type histogramWire struct {
	*HistogramPoint
	exemplars   exemplarArrays
	temporality int32
}

func (w *histogramWire) fields() []field {
	return slices.Concat(pointFields(&w.Point),
		[]field{
			{"Count", &w.Count},
			{"Sum", &w.Sum},
			{"BucketCounts", &w.BucketCounts},
			{"ExplicitBounds", &w.Bounds},
		},
		w.exemplars.fields(),
		[]field{
			{"Flags", &w.Flags},
			{"Min", &w.Min},
			{"Max", &w.Max},
			{"AggregationTemporality", &w.temporality},
		})
}

func (w *histogramWire) pack() {
	w.temporality = int32(w.Temporality)
	w.exemplars.pack(w.Exemplars)
}

func (w *histogramWire) unpack() (err error) {
	w.Temporality = Temporality(w.temporality)
	w.Exemplars, err = w.exemplars.unpack()
	return err
}

type exponentialWire struct {
	*ExponentialPoint
	temporality int32
}

func (w *exponentialWire) fields() []field {
	return append(pointFields(&w.Point), []field{
		{"Count", &w.Count},
		{"Sum", &w.Sum},
		{"Scale", &w.Scale},
		{"ZeroCount", &w.ZeroCount},
		{"PositiveOffset", &w.PositiveOffset},
		{"PositiveBucketCounts", &w.Positive},
		{"NegativeOffset", &w.NegativeOffset},
		{"NegativeBucketCounts", &w.Negative},
		{"Flags", &w.Flags},
		{"Min", &w.Min},
		{"Max", &w.Max},
		{"AggregationTemporality", &w.temporality},
	}...)
}

func (w *exponentialWire) pack() { w.temporality = int32(w.Temporality) }

func (w *exponentialWire) unpack() error {
	w.Temporality = Temporality(w.temporality)
	return nil
}

type summaryWire struct {
	*SummaryPoint
	quantiles []float64
	values    []float64
}

func (w *summaryWire) fields() []field {
	return slices.Concat(pointFields(&w.Point), []field{
		{"Count", &w.Count},
		{"Sum", &w.Sum},
		{"ValueAtQuantiles.Quantile", &w.quantiles},
		{"ValueAtQuantiles.Value", &w.values},
		{"Flags", &w.Flags},
	})
}

func (w *summaryWire) pack() {
	for _, q := range w.Quantiles {
		w.quantiles = append(w.quantiles, q.Quantile)
		w.values = append(w.values, q.Value)
	}
}

func (w *summaryWire) unpack() error {
	if err := sameLength("ValueAtQuantiles", len(w.quantiles), len(w.values)); err != nil {
		return err
	}
	for i := range w.quantiles {
		w.Quantiles = append(w.Quantiles, Quantile{w.quantiles[i], w.values[i]})
	}
	return nil
}
