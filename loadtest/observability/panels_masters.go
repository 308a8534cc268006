package observability

func callerPanels() []panel {
	return []panel{
		{
			title: "Refused", unit: "reqps", stacked: true,
			help:    "Requests a second without valid credentials (unauthorized), without the right (forbidden), or beyond a rate limit (rate_limited).",
			queries: []query{{"sum by (code) (" + rate("atlhyper_http_requests_total", `code=~"unauthorized|forbidden|rate_limited"`) + ")", "{{code}}"}},
		},
		{
			title: "Rate limits", unit: "reqps", stacked: true,
			help:    "Requests a second that a rate limit refused: of the caller, of the cluster, or of the address from which credentials are tried.",
			queries: []query{{"sum by (by) (" + rate("atlhyper_http_rate_limited_total", "") + ")", "{{by}}"}},
		},
		{
			title: "Audit lines", unit: "ops", stacked: true,
			help: "Lines written to the audit log, a second, and those that could not be, which is an alert.",
			queries: []query{
				{"sum(" + rate("atlhyper_audit_lines_total", "") + ")", "written"},
				{"sum(" + rate("atlhyper_audit_failures_total", "") + ")", "lost"},
			},
		},
	}
}

func detailPanels() []panel {
	return []panel{
		{
			title: "Commands by outcome", unit: "ops", stacked: true,
			help:    "Commands that were pushed, a second, by what came of them: answered, refused by the agent, expired (no reply in time), canceled (the caller left), too large, unreadable.",
			queries: []query{{"sum by (outcome) (" + rate("atlhyper_master_commands_ended_total", "") + ")", "{{outcome}}"}},
		},
		{
			title: "Details without a command", unit: "ops", stacked: true,
			help: "Detail requests a second for which no command was pushed: shared (an equal one was just answered), offline (no agent), store_unavailable, too_long; and those that a bound refused.",
			queries: []query{
				{"sum by (reason) (" + rate("atlhyper_master_requests_not_pushed_total", "") + ")", "{{reason}}"},
				{"sum by (bound) (" + rate("atlhyper_master_queue_full_total", "") + ")", "full: {{bound}}"},
				{"sum(" + rate("atlhyper_master_requests_joined_full_total", "") + ")", "full: joined"},
			},
		},
		{
			title: "Time to wait", unit: "s",
			help: "How long detail requests waited, whatever came of them.",
			queries: []query{
				{quantile(.5, "", rate("atlhyper_master_request_wait_seconds_bucket", "")), "median"},
				{quantile(.95, "", rate("atlhyper_master_request_wait_seconds_bucket", "")), "95%"},
				{quantile(.99, "", rate("atlhyper_master_request_wait_seconds_bucket", "")), "99%"},
			},
		},
		{
			title: "Waiters", unit: "short",
			help: "Detail requests that wait, by replica; how many may; and those that wait for the reply to an identical one.",
			queries: []query{
				{master("atlhyper_master_requests_waiting", ""), "{{instance}}"},
				{master("atlhyper_master_requests_joined", ""), "{{instance}} joined"},
				{"min(" + master("atlhyper_master_requests_waiting_max", "") + ")", "bound of a replica"},
			},
		},
		{
			title: "Queue by cluster", unit: "short",
			help: "Commands that no agent took yet, of the 20 chosen clusters that have the most, and how many a list takes.",
			queries: []query{
				{"topk(20, max by (cluster) (" + master("atlhyper_cluster_queue_length", toCluster) + "))", "{{cluster}}"},
				{"min(" + master("atlhyper_master_queue_max", "") + ")", "bound"},
			},
		},
		{
			title: "Replies", unit: "ops",
			help: "Replies a second that came with their announcement, and those that only the sweep found: their announcement was lost or late.",
			queries: []query{
				{"sum(" + rate("atlhyper_master_replies_carried_total", "") + ")", "with the announcement"},
				{"sum(" + rate("atlhyper_master_replies_found_total", "") + ")", "found by the sweep"},
			},
		},
		{
			title: "Bytes of replies", unit: "Bps",
			help:    "Bytes of replies that were read, a second, by replica.",
			queries: []query{{rate("atlhyper_master_reply_bytes_total", ""), "{{instance}}"}},
		},
		{
			title: "Replies on their way", unit: "bytes",
			help:    "Bytes of the replies that are being read from Redis now, by replica.",
			queries: []query{{master("atlhyper_master_reply_fetch_bytes", ""), "{{instance}}"}},
		},
	}
}

func cachePanels() []panel {
	hits := "sum(" + rate("atlhyper_master_cache_requests_total", `result="hit"`) + ")"
	all := "sum(" + rate("atlhyper_master_cache_requests_total", "") + ")"
	return []panel{
		{
			title: "Hits", unit: "percentunit", max: 1,
			help:    "Share of the requests for sections that were answered from memory, without asking Redis first.",
			queries: []query{{hits + " / (" + all + " > 0)", "hits"}},
		},
		{
			title: "Checks of clusters", unit: "ops", stacked: true,
			help:    "What Redis said of the clusters that masters follow: the same, something new, nothing newer or nothing at all (missing), or it did not answer (failed).",
			queries: []query{{"sum by (outcome) (" + rate("atlhyper_master_cache_checks_total", "") + ")", "{{outcome}}"}},
		},
		{
			title: "Memory", unit: "bytes",
			help: "What the held answers occupy, in all encodings, by replica, and what they may.",
			queries: []query{
				{master("atlhyper_master_cache_bytes", ""), "{{instance}}"},
				{"min(" + master("atlhyper_master_cache_bytes_max", "") + ")", "bound of a replica"},
			},
		},
		{
			title: "Evictions", unit: "ops", stacked: true,
			help:    "Sections that were let go, a second: nobody asked for them any more (idle), or there was no room (bytes), which costs hits.",
			queries: []query{{"sum by (reason) (" + rate("atlhyper_master_cache_evictions_total", "") + ")", "{{reason}}"}},
		},
		{
			title: "Held", unit: "short",
			help: "Sections that are held and clusters that are followed, by replica.",
			queries: []query{
				{master("atlhyper_master_cache_sections", ""), "{{instance}} sections"},
				{master("atlhyper_master_cache_clusters", ""), "{{instance}} clusters"},
			},
		},
		{
			title: "Last check", unit: "s",
			help:    "How long ago the last check began that Redis answered, by replica. It grows while Redis is away, and while nothing is followed.",
			queries: []query{{master("atlhyper_master_cache_check_age_seconds", ""), "{{instance}}"}},
		},
	}
}

// redisPanels are about masters and agents.
func redisPanels() []panel {
	both := func(name string) string { return selector(name, `job=~"$master|$agent"`, "") }
	return []panel{
		{
			title: "Errors", unit: "ops", stacked: true,
			help:    "Calls to Redis a second that failed, by job and why: no connection or it broke (network), no answer in time (timeout), an error as the answer (refused), all connections taken (pool).",
			queries: []query{{"sum by (job, kind) (" + perSecond(both("atlhyper_redis_errors_total")) + ")", "{{job}} {{kind}}"}},
		},
		{
			title: "Calls", unit: "ops", stacked: true,
			help:    "Calls to Redis a second, by job. A pipeline is one call.",
			queries: []query{{"sum by (job) (" + perSecond(both("atlhyper_redis_commands_total")) + ")", "{{job}}"}},
		},
		{
			title: "Connections of masters", unit: "short", stacked: true,
			help:    "Connections to Redis of all masters, by pool and state. The pool for blocking commands is apart.",
			queries: []query{{"sum by (pool, state) (" + master("atlhyper_redis_pool_connections", "") + ")", "{{pool}} {{state}}"}},
		},
		{
			title: "Waits for a connection", unit: "ops",
			help: "Calls a second that waited for a connection because all were in use, and that gave up waiting, by job.",
			queries: []query{
				{"sum by (job, pool) (" + perSecond(both("atlhyper_redis_pool_waits_total")) + ")", "{{job}} {{pool}} waited"},
				{"sum by (job, pool) (" + perSecond(both("atlhyper_redis_pool_timeouts_total")) + ")", "{{job}} {{pool}} gave up"},
			},
		},
		{
			title: "New connections", unit: "ops",
			help:    "Calls a second that found no idle connection, and made one or waited, by job.",
			queries: []query{{"sum by (job, pool) (" + perSecond(both("atlhyper_redis_pool_misses_total")) + ")", "{{job}} {{pool}}"}},
		},
		{
			title: "Looks at all clusters that failed", unit: "ops",
			help:    "Looks at all clusters, for the series of each of them, that Redis did not answer, a second. Meanwhile the series of clusters are missing.",
			queries: []query{{"sum by (instance) (" + rate("atlhyper_clusters_look_failures_total", "") + ")", "{{instance}}"}},
		},
	}
}
