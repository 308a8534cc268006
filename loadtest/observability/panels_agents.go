package observability

import "fmt"

// agents selects what agents export.
func agents(name string) string { return selector(name, `job=~"$agent"`, "") }

// agentRate is of a counter of agents, a second.
func agentRate(name string) string { return perSecond(agents(name)) }

// ofCluster adds the label cluster to what agents export, and leaves out clusters that
// are not chosen.
func ofCluster(expr string) string {
	return expr + ` * on (namespace, job, instance) group_left (cluster) atlhyper_agent_info{cluster=~"$cluster"}`
}

// sum is by cluster and other labels.
func sum(labels, expr string) string {
	if labels != "" {
		labels = ", " + labels
	}
	return fmt.Sprintf("sum by (cluster%s) (%s)", labels, ofCluster(expr))
}

func agentPanels() []panel { return append(sectionPanels(), slotPanels()...) }

func sectionPanels() []panel {
	return []panel{
		{
			title: "Time of collections, 99%", unit: "s",
			help:    "99th percentile of how long collections took, by section, over the chosen clusters. One that takes longer than --section-timeout (8 s) fails.",
			queries: []query{{quantile(.99, "section", ofCluster(agentRate("atlhyper_agent_section_seconds_bucket"))), "{{section}}"}},
		},
		{
			title: "Collections that failed", unit: "ops", stacked: true,
			help:    "Collections a second that failed or ran out of time, by cluster and section.",
			queries: []query{{sum("section", agentRate("atlhyper_agent_section_errors_total")) + " > 0", "{{cluster}} {{section}}"}},
		},
		{
			title: "Sections of Kubernetes failing", unit: "short",
			help:    "Sections of Kubernetes that could not be read at the last look, by cluster.",
			queries: []query{{"max by (cluster) (" + ofCluster(agents("atlhyper_agent_kubernetes_sections_failing")) + ")", "{{cluster}}"}},
		},
		{
			title: "Publishes", unit: "ops", stacked: true,
			help:    "Publishes of the snapshot a second, over the chosen clusters: published, stood by for another agent, or failed.",
			queries: []query{{"sum by (outcome) (" + ofCluster(agentRate("atlhyper_agent_publishes_total")) + ")", "{{outcome}}"}},
		},
		{
			title: "Published bytes", unit: "Bps", stacked: true,
			help:    "Bytes of the sections that were sent to Redis, a second, by cluster. What did not change is not sent.",
			queries: []query{{sum("", agentRate("atlhyper_agent_section_bytes_total")), "{{cluster}}"}},
		},
		{
			title: "Everything published again", unit: "ops",
			help:    "Publishes of everything, a second, because Redis did not hold what was published before: it was restarted, or evicts.",
			queries: []query{{sum("", agentRate("atlhyper_agent_snapshot_resent_total")), "{{cluster}}"}},
		},
		{
			title: "Kubernetes bytes", unit: "Bps", stacked: true,
			help:    "Bytes of the sections of Kubernetes that changed, before compression, a second, by cluster.",
			queries: []query{{sum("", agentRate("atlhyper_agent_kubernetes_encoded_bytes_total")), "{{cluster}}"}},
		},
		{
			title: "Agents that stand by", unit: "short", stacked: true,
			help:    "Agents that leave publishing to another agent of their cluster, by cluster. Of n agents n-1 should.",
			queries: []query{{"sum by (cluster) (" + ofCluster(agents("atlhyper_agent_standby")) + ")", "{{cluster}}"}},
		},
		{
			title: "Last publish", unit: "s",
			help:    "How long ago some agent of the cluster published last.",
			queries: []query{{"time() - max by (cluster) (" + ofCluster(agents("atlhyper_agent_last_publish_timestamp_seconds")) + ")", "{{cluster}}"}},
		},
	}
}

func slotPanels() []panel {
	return []panel{
		{
			title: "Slots in use", unit: "percentunit", max: 1, steps: []float64{.8, .95},
			help:    "Share of the slots in which commands run, by cluster. When all are in use, commands wait in the list.",
			queries: []query{{sum("", agents("atlhyper_agent_commands_running")) + " / " + sum("", agents("atlhyper_agent_slots")), "{{cluster}}"}},
		},
		{
			title: "Commands of agents", unit: "ops", stacked: true,
			help: "Commands that agents finished, a second, by how: expired ones were dropped unrun, unanswered ones could not be delivered.",
			queries: []query{
				{"sum by (outcome) (" + ofCluster(agentRate("atlhyper_agent_commands_total")) + ")", "{{outcome}}"},
				{"sum(" + ofCluster(agentRate("atlhyper_agent_commands_refused_total")) + ")", "refused"},
			},
		},
		{
			title: "Time of commands", unit: "s",
			help: "How long commands ran on the agents of the chosen clusters.",
			queries: []query{
				{quantile(.5, "", ofCluster(agentRate("atlhyper_agent_command_run_seconds_bucket"))), "median"},
				{quantile(.99, "", ofCluster(agentRate("atlhyper_agent_command_run_seconds_bucket"))), "99%"},
			},
		},
		{
			title: "Commands claimed", unit: "ops", stacked: true,
			help:    "Commands that agents took, a second, by cluster.",
			queries: []query{{sum("", agentRate("atlhyper_agent_commands_claimed_total")), "{{cluster}}"}},
		},
		{
			title: "Commands that moved", unit: "ops",
			help:    "Commands a second that an agent took back from one that stopped (claimed_back), found in its own list (recovered), or gave back at its end (handed_back).",
			queries: []query{{"sum by (how) (" + ofCluster(agentRate("atlhyper_agent_commands_moved_total")) + ")", "{{how}}"}},
		},
		{
			title: "Commands that went wrong", unit: "ops",
			help: "Commands a second whose handler panicked, whose result was over the bound, that were canceled, or met again.",
			queries: []query{
				{"sum(" + ofCluster(agentRate("atlhyper_agent_command_panics_total")) + ")", "panics"},
				{"sum(" + ofCluster(agentRate("atlhyper_agent_replies_too_large_total")) + ")", "too large"},
				{"sum(" + ofCluster(agentRate("atlhyper_agent_cancels_total")) + ")", "canceled"},
				{"sum(" + ofCluster(agentRate("atlhyper_agent_commands_duplicate_total")) + ")", "duplicates"},
			},
		},
	}
}

func clickHousePanels() []panel {
	return []panel{
		{
			title: "Statements", unit: "ops", stacked: true,
			help:    "Statements that agents sent to ClickHouse, a second, by cluster and outcome.",
			queries: []query{{sum("outcome", agentRate("atlhyper_agent_clickhouse_statements_total")), "{{cluster}} {{outcome}}"}},
		},
		{
			title: "Rows read by section", unit: "cps", stacked: true,
			help:    "Rows that ClickHouse read for collections, a second, by section. What several sections share counts for each.",
			queries: []query{{"sum by (section) (" + ofCluster(agentRate("atlhyper_agent_section_rows_read_total")) + ")", "{{section}}"}},
		},
		{
			title: "Bytes read by section", unit: "Bps", stacked: true,
			help:    "Bytes that ClickHouse read for collections, a second, by section.",
			queries: []query{{"sum by (section) (" + ofCluster(agentRate("atlhyper_agent_section_bytes_read_total")) + ")", "{{section}}"}},
		},
		{
			title: "Bytes read by cluster", unit: "Bps", stacked: true,
			help:    "Bytes that ClickHouse read for collections, a second, by cluster.",
			queries: []query{{sum("", agentRate("atlhyper_agent_section_bytes_read_total")), "{{cluster}}"}},
		},
		{
			title: "Connections", unit: "short",
			help: "Connections to ClickHouse, by cluster and state, and how many an agent may open.",
			queries: []query{
				{sum("state", agents("atlhyper_agent_clickhouse_connections")), "{{cluster}} {{state}}"},
				{"max(" + ofCluster(agents("atlhyper_agent_clickhouse_connections_max")) + ")", "bound of an agent"},
			},
		},
	}
}

// processPanels are about masters and agents.
func processPanels() []panel {
	const both = `job=~"$master|$agent"`
	return []panel{
		{
			title: "CPU", unit: "percentunit",
			help:    "Processor time, as a share of one core, by process.",
			queries: []query{{perSecond(selector("process_cpu_seconds_total", both, "")), "{{job}} {{instance}}"}},
		},
		{
			title: "Memory", unit: "bytes",
			help:    "Resident memory by process.",
			queries: []query{{selector("process_resident_memory_bytes", both, ""), "{{job}} {{instance}}"}},
		},
		{
			title: "Goroutines", unit: "short",
			help:    "Goroutines by process. A number that only grows is a leak.",
			queries: []query{{selector("go_goroutines", both, ""), "{{job}} {{instance}}"}},
		},
		{
			title: "Builds", kind: table, unit: "none", width: 24,
			help:    "How many processes run which build, by job: more than one line of a job means that a rollout is under way.",
			queries: []query{{"count by (job, version, revision, goversion) (" + selector("atlhyper_build_info", both, "") + ")", ""}},
			columns: []column{{"Processes", "short"}},
		},
	}
}
