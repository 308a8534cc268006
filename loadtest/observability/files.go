package observability

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// Expressions returns all PromQL of the project in root, as it stands there, by the file
// and the part of it.
func Expressions(root string) (map[string][]string, error) {
	folder := filepath.Join(root, "charts", "atlhyper", "observability")
	rules, err := ReadRules(filepath.Join(folder, "alerts.yaml"))
	if err != nil {
		return nil, err
	}
	found := map[string][]string{}
	for _, r := range rules {
		found["alerts.yaml"] = append(found["alerts.yaml"], r.Expr)
	}
	d, err := ReadDashboard(filepath.Join(folder, "dashboard.json"))
	if err != nil {
		return nil, err
	}
	for _, p := range d.Panels {
		for _, t := range p.Targets {
			found["dashboard.json"] = append(found["dashboard.json"], t.Expr)
		}
	}
	for _, a := range d.Annotations.List {
		found["dashboard.json, annotations"] = append(found["dashboard.json, annotations"], a.Expr)
	}
	for _, v := range d.Templating.List {
		if of, is := strings.CutPrefix(v.Definition, "label_values("); is {
			found["dashboard.json, variables"] = append(found["dashboard.json, variables"], of[:strings.LastIndex(of, ",")])
		}
	}
	runbook, err := os.ReadFile(filepath.Join(root, "docs", "runbook.md"))
	if err != nil {
		return nil, fmt.Errorf("runbook: %w", err)
	}
	for _, m := range regexp.MustCompile(`promtool query instant \S+ '([^']+)'`).FindAllSubmatch(runbook, -1) {
		found["runbook.md"] = append(found["runbook.md"], string(m[1]))
	}
	return found, nil
}

// ReadDashboard reads a dashboard that Dashboard.JSON wrote.
func ReadDashboard(path string) (Dashboard, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return Dashboard{}, fmt.Errorf("dashboard: %w", err)
	}
	var d Dashboard
	if err := json.Unmarshal(text, &d); err != nil {
		return Dashboard{}, fmt.Errorf("dashboard: %s: %w", path, err)
	}
	return d, nil
}
