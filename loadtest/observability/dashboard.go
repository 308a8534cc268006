package observability

import (
	"encoding/json"
	"fmt"
	"strings"
)

// schemaVersion is the classic model's as of Grafana 12.3; versions below ignore that it
// is newer than theirs.
const (
	schemaVersion = 42
	pluginVersion = "12.3.0"
)

const runbook = "https://github.com/atlhyper/observe/blob/main/docs/runbook.md"

// width of the grid, and of a panel that names none.
const gridWidth, panelWidth = 24, 8

// row heads some panels.
type row struct {
	title  string
	panels []panel
}

// panel is a line of the table. The zero value of a field means its default.
type panel struct {
	title string
	// help says what is shown, and what is good or bad about it.
	help string
	kind kind
	// unit is one of Grafana's.
	unit string
	// width is of 24; default 8.
	width int
	// max ends the axis; default where the values end.
	max float64
	// stacked puts the values on each other: their sum means something.
	stacked bool
	// steps are the bounds of yellow, and of red; a third one is of dark red.
	steps   []float64
	queries []query
	// columns names and measures the columns of a table, one for each query.
	columns []column
}

type kind string

const (
	lines kind = "timeseries" // the default
	stat  kind = "stat"
	table kind = "table"
)

// height is of each kind, in units of the grid.
func (k kind) height() int {
	if k == stat {
		return 4
	}
	return 8
}

type query struct{ expr, legend string }

type column struct{ name, unit string }

// New returns the dashboard.
func New() Dashboard {
	source := prometheus()
	d := Dashboard{
		UID: "atlhyper-observe", Title: "AtlHyper Observe", Tags: []string{"atlhyper"},
		Description:   "Masters, Redis and agents: what the API answers and how fast, how old the dashboards of each cluster are, what became of details.",
		SchemaVersion: schemaVersion, Version: 1, Editable: true, GraphTooltip: 1,
		Refresh: "30s", Time: TimeRange{From: "now-3h", To: "now"}, Timezone: "browser",
		Annotations: Annotations{List: []Annotation{{
			Name: "Alerts", Datasource: source, Enable: true, IconColor: "red", Step: "30s",
			Expr:        `max by (alertname, severity, cluster) (ALERTS{alertname=~"AtlHyper.+", alertstate="firing"})`,
			TitleFormat: "{{alertname}}", TextFormat: "{{severity}} {{cluster}}",
		}}},
		Links:      []Link{{Title: "Runbook", Type: "link", URL: runbook, Icon: "doc", TargetBlank: true, Tags: []string{}}},
		Templating: Templating{List: variables()},
	}
	at := GridPos{}
	id := 1
	for _, r := range rows() {
		d.Panels = append(d.Panels, rowPanel(id, r.title, at.Y))
		id, at = id+1, GridPos{Y: at.Y + 1}
		for _, p := range r.panels {
			width, height := p.size()
			if at.X+width > gridWidth {
				at = GridPos{Y: at.Y + at.H}
			}
			at.W, at.H = width, height
			d.Panels = append(d.Panels, p.json(id, at))
			id, at.X = id+1, at.X+width
		}
		at = GridPos{Y: at.Y + at.H}
	}
	return d
}

// JSON is the file's text.
func (d Dashboard) JSON() ([]byte, error) {
	var text strings.Builder
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	if err := enc.Encode(d); err != nil {
		return nil, fmt.Errorf("dashboard: %w", err)
	}
	return []byte(text.String()), nil
}

func prometheus() Datasource { return Datasource{Type: "prometheus", UID: "${datasource}"} }

func variables() []Variable {
	labels := func(name, label, help, of, all string) Variable {
		source := prometheus()
		return Variable{
			Name: name, Label: label, Description: help, Type: "query", Datasource: &source,
			Definition: of, Query: VariableQuery{Query: of, RefID: name},
			Refresh: 2, Sort: 1, Multi: true, IncludeAll: true, AllValue: all,
			Current: Choice{Text: []string{"All"}, Value: []string{"$__all"}}, Options: []Choice{},
		}
	}
	// All jobs are those of the list, since every process has what the last row shows;
	// all clusters are any, since a thousand names make a long expression.
	return []Variable{
		{
			Name: "datasource", Label: "Data source", Description: "The Prometheus that scrapes masters and agents.",
			Type: "datasource", Query: "prometheus", Refresh: 1, Options: []Choice{},
		},
		labels("master", "Masters", "The scrape jobs of masters.", "label_values(atlhyper_clusters, job)", ""),
		labels("agent", "Agents", "The scrape jobs of agents.", "label_values(atlhyper_agent_slots, job)", ""),
		labels("cluster", "Cluster", "The clusters that masters know.", `label_values(atlhyper_cluster_up{job=~"$master"}, cluster)`, ".+"),
	}
}

func rowPanel(id int, title string, y int) Panel {
	collapsed := false
	return Panel{ID: id, Type: "row", Title: title, GridPos: GridPos{H: 1, W: gridWidth, Y: y}, Collapsed: &collapsed, Panels: []Panel{}}
}

func (p panel) size() (width, height int) {
	if p.width == 0 {
		return panelWidth, p.kind.height()
	}
	return p.width, p.kind.height()
}

func (p panel) json(id int, at GridPos) Panel {
	source := prometheus()
	out := Panel{
		ID: id, Type: string(p.kind), Title: p.title, Description: p.help, GridPos: at, PluginVersion: pluginVersion,
		Datasource: &source, Targets: p.targets(), FieldConfig: p.fields(),
	}
	switch p.kind {
	case stat:
		out.Options = map[string]any{
			"colorMode": "value", "graphMode": "area", "justifyMode": "auto", "orientation": "auto", "textMode": "auto",
			"reduceOptions": map[string]any{"calcs": []string{"lastNotNull"}, "fields": "", "values": false},
		}
	case table:
		out.Options = map[string]any{"cellHeight": "sm", "showHeader": true}
		out.Transformations = p.merged()
	default:
		out.Type = string(lines)
		out.Options = map[string]any{
			"legend":  map[string]any{"calcs": []string{}, "displayMode": "list", "placement": "bottom", "showLegend": true},
			"tooltip": map[string]any{"mode": "multi", "sort": "desc"},
		}
	}
	return out
}

func (p panel) targets() []Target {
	var all []Target
	for i, q := range p.queries {
		t := Target{
			RefID: refID(i), Datasource: prometheus(), Expr: q.expr, LegendFormat: q.legend,
			Range: p.kind != table, Instant: p.kind == table, Format: "time_series", EditorMode: "code",
		}
		if p.kind == table {
			t.Format = "table"
		}
		all = append(all, t)
	}
	return all
}

func refID(i int) string { return string(rune('A' + i)) }

// fields says how the values of a panel look.
func (p panel) fields() *FieldConfig {
	zero := 0.0
	f := &FieldConfig{
		Defaults: FieldDefaults{
			Unit: p.unit, Min: &zero, NoValue: "none", Color: map[string]any{"mode": "palette-classic"},
			Thresholds: Thresholds{Mode: "absolute", Steps: []Step{{Color: "green"}}},
		},
		Overrides: []FieldOverride{},
	}
	if p.max > 0 {
		f.Defaults.Max = &p.max
	}
	for i, color := range []string{"yellow", "red", "dark-red"}[:len(p.steps)] {
		f.Defaults.Thresholds.Steps = append(f.Defaults.Thresholds.Steps, Step{Color: color, Value: &p.steps[i]})
	}
	switch p.kind {
	case stat:
		f.Defaults.Color["mode"] = "thresholds"
	case table:
		for _, c := range p.columns {
			f.Overrides = append(f.Overrides, FieldOverride{
				Matcher:    OverrideMatcher{ID: "byName", Options: c.name},
				Properties: []Property{{ID: "unit", Value: c.unit}},
			})
		}
	default:
		f.Defaults.Custom = p.drawn()
	}
	return f
}

// drawn says how lines look.
func (p panel) drawn() map[string]any {
	custom := map[string]any{
		"drawStyle": "line", "lineInterpolation": "linear", "lineWidth": 1, "fillOpacity": 0,
		"showPoints": "never", "spanNulls": false,
		"stacking": map[string]any{"group": "A", "mode": "none"}, "thresholdsStyle": map[string]any{"mode": "off"},
	}
	if p.stacked {
		custom["fillOpacity"] = 30
		custom["stacking"] = map[string]any{"group": "A", "mode": "normal"}
	}
	if len(p.steps) > 0 {
		custom["thresholdsStyle"] = map[string]any{"mode": "dashed"}
	}
	return custom
}

// merged makes one table of the queries' answers, a line for each set of labels.
func (p panel) merged() []Transformation {
	names := map[string]any{}
	for i, c := range p.columns {
		names["Value #"+refID(i)] = c.name
	}
	if len(p.columns) == 1 {
		names["Value"] = p.columns[0].name // the answer to a single query has no letter
	}
	return []Transformation{
		{ID: "merge", Options: map[string]any{}},
		{ID: "organize", Options: map[string]any{"excludeByName": map[string]any{"Time": true}, "indexByName": map[string]any{}, "renameByName": names}},
	}
}
