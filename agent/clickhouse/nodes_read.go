package clickhouse

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"golang.org/x/sync/errgroup"
)

// The statements that read what nodes sent, by the table they read. They give
// what sumSeries and gaugeSeries do for windows of one step, at half the cost.
const (
	nodeSumRows   = "node_sums"
	nodeGaugeRows = "node_gauges"
)

// readNodes reads every node's samples in w. Rows become rates as they come in:
// there are some 150 a node, and nothing is kept of them that the nodes need not.
func (s *Store) readNodes(ctx context.Context, w window, names kubeNames) (map[string]*nodeSamples, error) {
	var (
		groups = newNodeGroups(w, names)
		gauges []nodeRow // wait for what is in the sum table, which counts first
		// of the statements, which run side by side
		sumTexts, gaugeTexts = newLabelTexts(), newLabelTexts()
	)
	group, gctx := errgroup.WithContext(ctx)
	read := func(statement string, metrics []string, row func(driver.Rows) error) {
		group.Go(func() error {
			err := s.streamNodes(gctx, statement, metrics, w, row)
			if isUnknownTable(err) {
				return nil // a table that is not there has no series
			}
			return err
		})
	}
	read(nodeSumRows, append(nodeCounters(), hostMetrics()...), func(rows driver.Rows) error {
		row, err := scanNodeRow(rows, sumTexts)
		if err == nil {
			groups.add(&row, row.monotonic)
		}
		return err
	})
	read(nodeGaugeRows, append(nodeGauges(), hostMetrics()...), func(rows driver.Rows) error {
		row, err := scanNodeRow(rows, gaugeTexts)
		gauges = append(gauges, row)
		return err
	})
	if err := group.Wait(); err != nil {
		return nil, err
	}
	groups.gaugesFollow()
	for i := range gauges {
		groups.add(&gauges[i], isUntypedCounter(gauges[i].metric))
	}
	return groups.translated(), nil
}

func (s *Store) streamNodes(ctx context.Context, statement string, metrics []string, w window, row func(driver.Rows) error) error {
	answered := 0
	return s.stream(ctx, statement, params{
		"metrics":        metrics,
		"from_ms":        w.fromMs,
		"to_ms":          w.toMs,
		"resource_keys":  nodeAttributes(),
		"attribute_keys": nodeLabels(),
		"any_of":         []string{},
		"max_rows":       maxSeriesRows + 1,
	}, func(rows driver.Rows) error {
		if answered++; answered > maxSeriesRows {
			return tooManySeries(maxSeriesRows)
		}
		return row(rows)
	})
}

// nodeRow is one series of a node.
type nodeRow struct {
	series
	resourceText, labelsText *labelText
}

func scanNodeRow(rows driver.Rows, texts *labelTexts) (nodeRow, error) {
	var (
		r                        nodeRow
		metric, resource, labels string
		values                   = make([]float64, 4) // first, last, growth, total
	)
	err := rows.Scan(&metric, &r.delta, &r.monotonic, &resource, &labels,
		&r.samples, &r.firstMs, &r.lastMs, &values[0], &values[1], &values[2], &values[3])
	if err != nil {
		return r, fmt.Errorf("scan: %w", err)
	}
	if r.resourceText, err = texts.parse(resource); err != nil {
		return r, err
	}
	if r.labelsText, err = texts.parse(labels); err != nil {
		return r, err
	}
	r.metric, r.resource, r.attributes = texts.name(metric), r.resourceText.labels, r.labelsText.labels
	r.first, r.last, r.growth, r.total = values[0:1:1], values[1:2:2], values[2:3:3], values[3:4:4]
	return r, nil
}

// labelText is a set of labels that many series share.
type labelText struct {
	labels labels
	key    string // equal for equal labels
}

// labelTexts reads sets of labels from JSON, each once.
type labelTexts struct {
	parsed map[string]*labelText
	names  map[string]string
}

func newLabelTexts() *labelTexts {
	return &labelTexts{parsed: make(map[string]*labelText), names: make(map[string]string)}
}

func (t *labelTexts) parse(text string) (*labelText, error) {
	if known := t.parsed[text]; known != nil {
		return known, nil
	}
	l := new(labelText)
	if err := json.Unmarshal([]byte(text), &l.labels); err != nil {
		return nil, fmt.Errorf("labels of a series: %w", err)
	}
	l.key = l.labels.key()
	t.parsed[text] = l
	return l, nil
}

// name is the one copy that is kept of a name.
func (t *labelTexts) name(name string) string {
	if known, ok := t.names[name]; ok {
		return known
	}
	t.names[name] = name
	return name
}
