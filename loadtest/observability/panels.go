package observability

import "fmt"

// rows is the dashboard, from above.
func rows() []row {
	return []row{
		{"At a glance", glancePanels()},
		{"API", apiPanels()},
		{"Callers", callerPanels()},
		{"Clusters", clusterPanels()},
		{"Details", detailPanels()},
		{"Cache of masters", cachePanels()},
		{"Redis", redisPanels()},
		{"Agents", agentPanels()},
		{"ClickHouse", clickHousePanels()},
		{"Processes", processPanels()},
	}
}

// master selects what masters export; and is more of the selector.
func master(name, and string) string { return selector(name, `job=~"$master"`, and) }

// rate is of a counter of masters, a second.
func rate(name, and string) string { return perSecond(master(name, and)) }

func selector(name, job, and string) string {
	if and != "" {
		and = ", " + and
	}
	return fmt.Sprintf("%s{%s%s}", name, job, and)
}

func perSecond(selector string) string { return fmt.Sprintf("rate(%s[$__rate_interval])", selector) }

// quantile is of a histogram of masters or agents whose buckets' rates are summed by the
// labels.
func quantile(q float64, labels, rates string) string {
	if labels != "" {
		labels = ", " + labels
	}
	return fmt.Sprintf("histogram_quantile(%v, sum by (le%s) (%s))", q, labels, rates)
}

// Selectors that several panels share.
const (
	toCluster = `cluster=~"$cluster"`
	toAPI     = `route=~"/api/.+"`
	own       = `code=~"internal|store_unavailable|unavailable"`
)

func glancePanels() []panel {
	requests := "sum(" + rate("atlhyper_http_requests_total", toAPI+`, status!="0"`) + ")"
	failed := "sum(" + rate("atlhyper_http_requests_total", toAPI+", "+own) + ")"
	return []panel{
		{
			title: "Clusters", kind: stat, unit: "short", width: 6,
			help:    "Clusters by what masters say of them: online (an agent beats), stale, offline, or unknown while Redis does not say.",
			queries: []query{{"max by (status) (" + master("atlhyper_clusters", "") + ")", "{{status}}"}},
		},
		{
			title: "Requests", kind: stat, unit: "reqps", width: 3,
			help:    "Requests to the API a second, all masters together.",
			queries: []query{{requests, "requests"}},
		},
		{
			title: "Failed", kind: stat, unit: "percentunit", width: 3, steps: []float64{.001, .0144},
			help:    "Share of the requests that failed because of the API itself: a bug, Redis was away and nothing was held, or the issuer of tokens could not be asked. The objective is 0.1% over 30 days.",
			queries: []query{{fmt.Sprintf("(%s or 0 * %s) / (%s > 0)", failed, requests, requests), "failed"}},
		},
		{
			title: "99% answered within", kind: stat, unit: "s", width: 3, steps: []float64{.5, 2.5},
			help:    "99th percentile of the time that requests to the API took, details included.",
			queries: []query{{quantile(.99, "", rate("atlhyper_http_request_seconds_bucket", toAPI)) + " >= 0", "p99"}},
		},
		{
			title: "Oldest dashboard", kind: stat, unit: "s", width: 3, steps: []float64{30, 60},
			help:    "Age of the oldest section that any chosen cluster shows. Agents collect every 10 s; from 30 s on sections are shown as stale.",
			queries: []query{{"max(min by (job, cluster) (" + master("atlhyper_cluster_snapshot_age_seconds", toCluster) + "))", "age"}},
		},
		{
			title: "Sections failing", kind: stat, unit: "short", width: 3, steps: []float64{1},
			help:    "Sections of the chosen clusters whose last collection failed.",
			queries: []query{{"sum(max by (job, cluster) (" + master("atlhyper_cluster_sections_failing", toCluster) + "))", "sections"}},
		},
		{
			title: "Commands waiting", kind: stat, unit: "short", width: 3, steps: []float64{64, 128},
			help:    "Commands of the chosen clusters that no agent took yet.",
			queries: []query{{"sum(max by (job, cluster) (" + master("atlhyper_cluster_queue_length", toCluster) + "))", "commands"}},
		},
	}
}

func apiPanels() []panel {
	burn := func(window string) query {
		return query{fmt.Sprintf(`job:atlhyper_http_errors:ratio_rate%s{job=~"$master"} / 0.001`, window), "{{job}} " + window}
	}
	return []panel{
		{
			title: "Requests by route", unit: "reqps", stacked: true,
			help:    "Requests a second by route. Probes and scrapes are there too; the route of what is no endpoint is empty.",
			queries: []query{{"sum by (route) (" + rate("atlhyper_http_requests_total", "") + ")", "{{route}}"}},
		},
		{
			title: "Failures by code", unit: "reqps", stacked: true,
			help:    "Requests a second that failed, by the code that the caller got. internal, store_unavailable and unavailable are the API's own; agent_offline, agent_error and timeout a cluster's; the others are the caller's.",
			queries: []query{{"sum by (code) (" + rate("atlhyper_http_requests_total", `code!=""`) + ") > 0", "{{code}}"}},
		},
		{
			title: "Failures by route", unit: "reqps", stacked: true,
			help:    "Requests a second that were answered with a status of 500 or above, by route.",
			queries: []query{{"sum by (route, status) (" + rate("atlhyper_http_requests_total", `status=~"5.."`) + ") > 0", "{{status}} {{route}}"}},
		},
		{
			title: "Latency by route, 99%", unit: "s",
			help:    "99th percentile of the time that requests took, by route. Dashboards and lists come from memory; details wait for an agent. Streams are not in it.",
			queries: []query{{quantile(.99, "route", rate("atlhyper_http_request_seconds_bucket", toAPI)), "{{route}}"}},
		},
		{
			title: "Latency by route, median", unit: "s",
			help:    "Median of the time that requests took, by route.",
			queries: []query{{quantile(.5, "route", rate("atlhyper_http_request_seconds_bucket", toAPI)), "{{route}}"}},
		},
		{
			title: "Error budget, burn rate", unit: "none", steps: []float64{1, 6, 14.4},
			help:    "How many times faster than allowed the error budget (0.1% over 30 days) is spent, over windows of 5 minutes to 3 days. 1 spends it in just 30 days; AtlHyperErrorBudgetBurn pages at 14.4 (1h) and 6 (6h). Needs the recording rules of alerts.yaml.",
			queries: []query{burn("5m"), burn("1h"), burn("6h"), burn("1d"), burn("3d")},
		},
		{
			title: "Streams open", unit: "short", stacked: true,
			help:    "Event streams that are open, by replica.",
			queries: []query{{master("atlhyper_http_streams", ""), "{{instance}}"}},
		},
		{
			title: "Streams ended and refused", unit: "ops",
			help: "Event streams that ended, a second: the caller left, was too slow to read, or the replica drained; and those refused because too many were open.",
			queries: []query{
				{"sum by (reason) (" + rate("atlhyper_http_streams_ended_total", "") + ")", "{{reason}}"},
				{"sum(" + rate("atlhyper_http_streams_refused_total", "") + ")", "refused"},
			},
		},
		{
			title: "Requests by replica", unit: "reqps", stacked: true,
			help:    "Requests a second by replica: an uneven share is the balancer's.",
			queries: []query{{"sum by (instance) (" + rate("atlhyper_http_requests_total", toAPI) + ")", "{{instance}}"}},
		},
	}
}

func clusterPanels() []panel {
	of := func(aggregate, name string) string {
		return fmt.Sprintf("%s by (cluster) (%s)", aggregate, master(name, toCluster))
	}
	return []panel{
		{
			title: "Clusters", kind: table, unit: "none", width: 16,
			help: "Each chosen cluster now, as the masters see it. Up is 1 when an agent beats; an age that is missing means that there is no snapshot.",
			queries: []query{
				{of("max", "atlhyper_cluster_up"), ""},
				{of("min", "atlhyper_cluster_snapshot_age_seconds"), ""},
				{of("max", "atlhyper_cluster_sections_failing"), ""},
				{of("max", "atlhyper_cluster_queue_length"), ""},
				{"time() - " + of("max", "atlhyper_cluster_last_seen_timestamp_seconds"), ""},
			},
			columns: []column{{"Up", "none"}, {"Oldest section", "s"}, {"Sections failing", "short"}, {"Commands waiting", "short"}, {"Last seen before", "s"}},
		},
		{
			title: "Clusters by status", unit: "short", stacked: true,
			help:    "The clusters that have series, the first 1,000 by name, by status.",
			queries: []query{{"max by (status) (" + master("atlhyper_clusters", "") + ")", "{{status}}"}},
		},
		{
			title: "Age of dashboards by cluster", unit: "s", steps: []float64{30, 60},
			help:    "Age of the oldest section of the 20 chosen clusters whose dashboards are the oldest.",
			queries: []query{{"topk(20, " + of("min", "atlhyper_cluster_snapshot_age_seconds") + ")", "{{cluster}}"}},
		},
		{
			title: "Age by section", unit: "s", steps: []float64{30, 60},
			help:    "The oldest of all clusters, by section: one that is old everywhere is not a cluster's fault.",
			queries: []query{{"min by (section) (" + master("atlhyper_section_age_max_seconds", "") + ")", "{{section}}"}},
		},
		{
			title: "Sections failing by cluster", unit: "short",
			help:    "Sections whose last collection failed, of the 20 chosen clusters that have the most.",
			queries: []query{{"topk(20, " + of("max", "atlhyper_cluster_sections_failing") + " > 0)", "{{cluster}}"}},
		},
	}
}
