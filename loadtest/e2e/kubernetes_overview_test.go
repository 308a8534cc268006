package e2e_test

import (
	"encoding/json"
	"slices"
	"testing"
)

// part is a part of the overview.
type part struct {
	Data  json.RawMessage
	Total *int
	Stale bool
	Error string
}

// summed is what the overview says, or should say.
type summed struct {
	Status    string
	NoMetrics bool                // its parts of ClickHouse say that there is none
	Unhealthy map[string][]string // names, by list
	Totals    map[string]int      // of those lists, and of warnings
	Warnings  []int64             // when the newest happened
	Counts    map[string]float64  // of the summary
	Stale     bool
}

// overview asks for it.
func (k *kubernetes) overview(t *testing.T) summed {
	t.Helper()
	page := decodeLoose[struct {
		Cluster                               clusterView
		Summary, OTel, Metrics, SLO, Warnings part
		Unhealthy                             map[string]part
	}](t, k.masters[0].get(t, "/overview", "cluster_id", k.id).ok(t, "overview").Data)
	out := summed{
		Status: page.Cluster.Status, NoMetrics: true, Unhealthy: map[string][]string{}, Totals: map[string]int{}, Counts: map[string]float64{},
		Stale: page.Summary.Stale || page.Warnings.Stale,
	}
	for _, p := range []part{page.OTel, page.Metrics, page.SLO} {
		out.NoMetrics = out.NoMetrics && string(p.Data) == "null" && p.Error != ""
	}
	total := func(name string, p part) []object {
		if p.Total != nil {
			out.Totals[name] = *p.Total
		}
		return decodeLoose[[]object](t, p.Data)
	}
	for list, p := range page.Unhealthy {
		names := []string{}
		for _, o := range total(list, p) {
			names = append(names, name(o))
		}
		slices.Sort(names)
		out.Unhealthy[list] = names
		out.Stale = out.Stale || p.Stale
	}
	for _, e := range total("warnings", page.Warnings) {
		out.Warnings = append(out.Warnings, seconds(t, e, "lastTimestamp"))
	}
	summary := decodeLoose[object](t, page.Summary.Data)
	for _, path := range counted() {
		out.Counts[path[0]+path[1]] = number(summary, path[0], path[1])
	}
	out.Counts["namespaces"], out.Counts["warnings"] = number(summary, "namespaces"), number(summary, "warnings")
	return out
}

// counted are the counts of the summary that are compared.
func counted() [][2]string {
	return [][2]string{
		{"nodes", "total"}, {"nodes", "ready"}, {"pods", "total"}, {"pods", "running"}, {"pods", "pending"}, {"pods", "succeeded"},
		{"pods", "failed"}, {"pods", "restarts"}, {"deployments", "total"}, {"deployments", "healthy"},
		{"statefulSets", "total"}, {"statefulSets", "healthy"}, {"daemonSets", "total"}, {"daemonSets", "healthy"},
		{"jobs", "total"}, {"jobs", "active"}, {"jobs", "complete"}, {"jobs", "failed"},
	}
}

// expectedOverview is worked out from what the API server has.
func expectedOverview(t *testing.T, all everything) summed {
	t.Helper()
	out := summed{
		Status: "online", NoMetrics: true, Unhealthy: map[string][]string{}, Totals: map[string]int{},
		Counts: map[string]float64{"namespaces": float64(len(all["/api/v1/namespaces"]))},
	}
	lacks := func(have, want string) func(object) bool {
		return func(o object) bool { return number(o, have) < number(o, want) }
	}
	troubles := map[string]func(object) bool{
		"nodes": func(o object) bool { return o["ready"] != true },
		"pods": func(o object) bool { // all have one container
			return o["phase"] != "Succeeded" && (o["phase"] != "Running" || number(o, "ready") < 1)
		},
		"deployments":  lacks("availableReplicas", "replicas"),
		"statefulSets": lacks("readyReplicas", "replicas"),
		"daemonSets":   lacks("numberAvailable", "desiredNumberScheduled"),
		"jobs":         func(o object) bool { return o["status"] == "Failed" },
	}
	lists := map[string]string{"statefulsets": "statefulSets", "daemonsets": "daemonSets"}
	for _, e := range expectations() {
		called, renamed := lists[e.list]
		if !renamed {
			called = e.list
		}
		trouble := troubles[called]
		if trouble == nil {
			continue
		}
		objects, names := e.expected(all), []string{}
		for name, fields := range objects {
			if trouble(fields) {
				names = append(names, name)
			}
		}
		slices.Sort(names)
		out.Unhealthy[called], out.Totals[called] = names, len(names)
		out.Counts[called+"total"] = float64(len(objects))
		out.Counts[called+"healthy"] = float64(len(objects) - len(names))
	}
	countPods(out.Counts, all)
	for _, e := range all["/api/v1/events"] {
		if e["type"] == "Warning" {
			out.Warnings = append(out.Warnings, seconds(t, e, "lastTimestamp"))
		}
	}
	out.Totals["warnings"], out.Counts["warnings"] = len(out.Warnings), float64(len(out.Warnings))
	slices.Sort(out.Warnings)
	slices.Reverse(out.Warnings)
	out.Warnings = out.Warnings[:min(20, len(out.Warnings))]
	return out
}

// countPods counts what is told apart otherwise than by health, and leaves out what the
// summary does not count.
func countPods(counts map[string]float64, all everything) {
	counts["nodesready"] = counts["nodeshealthy"]
	for _, name := range []string{"nodeshealthy", "podshealthy", "jobshealthy"} {
		delete(counts, name)
	}
	for _, name := range []string{"running", "pending", "succeeded", "failed", "restarts"} {
		counts["pods"+name] = 0
	}
	phases := map[string]string{"Running": "running", "Pending": "pending", "Succeeded": "succeeded", "Failed": "failed"}
	for _, p := range all["/api/v1/pods"] {
		counts["pods"+phases[text(p, "status", "phase")]]++
		for _, s := range elements(p, "status", "containerStatuses") {
			counts["podsrestarts"] += number(s, "restartCount")
		}
	}
	for _, name := range []string{"active", "complete", "failed"} {
		counts["jobs"+name] = 0
	}
	states := map[any]string{"Active": "active", "Complete": "complete", "Failed": "failed"}
	for _, j := range all["/apis/batch/v1/jobs"] {
		if state, ok := states[jobFields(j, all)["status"]]; ok {
			counts["jobs"+state]++
		}
	}
}
