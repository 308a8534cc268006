package observability_test

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/atlhyper/observe/loadtest/observability"
)

func TestMain(m *testing.M) {
	// A pool that could not connect looks once a second whether it was closed.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial"))
}

var update = flag.Bool("update", false, "write dashboard.json as it follows from the table of panels")

// path is of a file of the project.
func path(of ...string) string { return filepath.Join(append([]string{"..", ".."}, of...)...) }

// file is one of those that this package is about.
func file(name string) string { return path("charts", "atlhyper", "observability", name) }

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func alertRules(t *testing.T) []observability.Rule {
	t.Helper()
	rules, err := observability.ReadRules(file("alerts.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if len(rules) == 0 {
		t.Fatal("no rules")
	}
	return rules
}

func dashboard(t *testing.T) observability.Dashboard {
	t.Helper()
	d, err := observability.ReadDashboard(file("dashboard.json"))
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Panels) == 0 {
		t.Fatal("no panels")
	}
	return d
}

// TestDashboardFile holds the file against the table that it is made from.
func TestDashboardFile(t *testing.T) {
	t.Parallel()
	want, err := observability.New().JSON()
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(file("dashboard.json"), want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(string(want), read(t, file("dashboard.json"))); diff != "" {
		t.Errorf("dashboard.json does not follow from the table: run this with -update (-follows +there):\n%s", diff)
	}
}

// TestPanels: each panel has a place, an id, a unit and words of its own, and asks the
// data source that the reader chose.
func TestPanels(t *testing.T) {
	t.Parallel()
	d := dashboard(t)
	const wanted = "${datasource}"
	ids, taken, row := map[int]string{}, map[[2]int]string{}, ""
	titles := map[string]bool{}
	for _, p := range d.Panels {
		if other, is := ids[p.ID]; is || p.ID < 1 {
			t.Errorf("%q has id %d, as %q", p.Title, p.ID, other)
		}
		ids[p.ID] = p.Title
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other, is := taken[[2]int{x, y}]; is || x < 0 || x >= 24 {
					t.Fatalf("%q is at %d, %d, where %q is or nothing can be", p.Title, x, y, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
		if p.Type == "row" {
			row = p.Title
			continue
		}
		if titles[row+"/"+p.Title] {
			t.Errorf("two panels of %q are %q", row, p.Title)
		}
		titles[row+"/"+p.Title] = true
		if !strings.HasSuffix(p.Description, ".") || len(p.Description) < 20 {
			t.Errorf("%q says of itself: %q", p.Title, p.Description)
		}
		if p.FieldConfig == nil || p.FieldConfig.Defaults.Unit == "" {
			t.Errorf("%q has no unit", p.Title)
		}
		if p.Datasource == nil || p.Datasource.UID != wanted || len(p.Targets) == 0 {
			t.Errorf("%q asks %+v %d questions", p.Title, p.Datasource, len(p.Targets))
		}
		refs := map[string]bool{}
		for _, target := range p.Targets {
			if target.Datasource.UID != wanted || refs[target.RefID] || target.Range == target.Instant {
				t.Errorf("%q: query %+v", p.Title, target)
			}
			refs[target.RefID] = true
		}
	}
	for _, v := range d.Templating.List {
		if v.Type == "query" && (v.Datasource == nil || v.Datasource.UID != wanted) {
			t.Errorf("variable %s asks %+v", v.Name, v.Datasource)
		}
	}
	for _, a := range d.Annotations.List {
		if a.Datasource.UID != wanted {
			t.Errorf("annotation %s asks %+v", a.Name, a.Datasource)
		}
	}
}

// TestVariables: those that are used are there, and those that are there are used.
func TestVariables(t *testing.T) {
	t.Parallel()
	text := read(t, file("dashboard.json"))
	there := map[string]bool{"__rate_interval": true} // Grafana's own
	for _, v := range dashboard(t).Templating.List {
		there[v.Name] = true
		if !regexp.MustCompile(`\$(\{)?` + v.Name + `\b`).MatchString(text) {
			t.Errorf("nothing uses $%s", v.Name)
		}
	}
	for _, used := range regexp.MustCompile(`\$\{?(\w+)`).FindAllStringSubmatch(text, -1) {
		if used[1] != "__all" && !there[used[1]] {
			t.Errorf("there is no variable $%s", used[1])
		}
	}
}

// TestLegends: a legend names labels that the expression leaves.
func TestLegends(t *testing.T) {
	t.Parallel()
	label, by := regexp.MustCompile(`\{\{(\w+)\}\}`), regexp.MustCompile(`\bby \(([\w, ]+)\)`)
	for _, p := range dashboard(t).Panels {
		for _, q := range p.Targets {
			var kept []string
			for _, list := range by.FindAllStringSubmatch(q.Expr, -1) {
				kept = append(kept, strings.Split(list[1], ", ")...)
			}
			aggregated := strings.Contains(q.Expr, "sum(") || len(kept) > 0
			for _, l := range label.FindAllStringSubmatch(q.LegendFormat, -1) {
				target := l[1] == "job" || l[1] == "instance" // of Prometheus
				if !slices.Contains(kept, l[1]) && (aggregated || !target) {
					t.Errorf("%q: legend %s of %s", p.Title, q.LegendFormat, q.Expr)
				}
			}
		}
	}
}

// TestRunbook: each alert has a section to which its link leads, with the same four
// parts, and each section has an alert.
func TestRunbook(t *testing.T) {
	t.Parallel()
	const url = "https://github.com/atlhyper/observe/blob/main/docs/runbook.md#"
	sections := map[string]string{}
	for _, part := range strings.Split("\n"+read(t, path("docs", "runbook.md")), "\n## ")[1:] {
		title, body, _ := strings.Cut(part, "\n")
		sections[title] = body
	}
	alerts := map[string]bool{}
	for _, r := range alertRules(t) {
		if r.Alert == "" {
			continue
		}
		alerts[r.Alert] = true
		if got, want := r.Annotations["runbook_url"], url+strings.ToLower(r.Alert); got != want {
			t.Errorf("%s leads to %q, want %q", r.Alert, got, want)
		}
		if r.Annotations["summary"] == "" || r.Annotations["description"] == "" || !slices.Contains([]string{"critical", "warning"}, r.Labels["severity"]) {
			t.Errorf("%s has labels %v and says %v", r.Alert, r.Labels, r.Annotations)
		}
		for _, part := range []string{"**Means.**", "**Users.**", "**Look.**", "```sh", "**Mend.**"} {
			if !strings.Contains(sections[r.Alert], part) {
				t.Errorf("docs/runbook.md: %s has no %s", r.Alert, part)
			}
		}
	}
	for title := range sections {
		if strings.HasPrefix(title, "AtlHyper") && !alerts[title] {
			t.Errorf("docs/runbook.md has a section for %s, which is no alert", title)
		}
	}
}

// TestAlertsAreTested: promtool is asked of each alert whether it fires and whether it
// does not.
func TestAlertsAreTested(t *testing.T) {
	t.Parallel()
	text := read(t, file("alerts_test.yaml"))
	for _, r := range alertRules(t) {
		if r.Alert == "" {
			continue
		}
		silent := regexp.MustCompile(`\{eval_time: \w+, alertname: ` + r.Alert + `\}`).MatchString(text)
		fires := regexp.MustCompile(`alertname: ` + r.Alert + `\n +exp_alerts:`).MatchString(text)
		if !silent || !fires {
			t.Errorf("alerts_test.yaml: %s fires: %t, is silent: %t", r.Alert, fires, silent)
		}
	}
}
