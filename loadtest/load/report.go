package load

import (
	"fmt"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// writeReport writes the Markdown and the plots.
func writeReport(cfg Config, m machine, results []result) error {
	folder := strings.TrimSuffix(cfg.Report, filepath.Ext(cfg.Report))
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return fmt.Errorf("load: report: %w", err)
	}
	for _, r := range results {
		file := filepath.Join(folder, r.script.name+".svg")
		if err := os.WriteFile(file, []byte(r.chart().svg()), 0o644); err != nil {
			return fmt.Errorf("load: report: %w", err)
		}
	}
	text := report(cfg, m, results, filepath.Base(folder))
	if err := os.WriteFile(cfg.Report, []byte(text), 0o644); err != nil {
		return fmt.Errorf("load: report: %w", err)
	}
	return nil
}

// report is the page; plots lie in folder beside it.
func report(cfg Config, m machine, results []result, folder string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Load tests\n\n`make loadtest` wrote this page on %s: k6 against %d masters behind HAProxy, on which %d simulated clusters publish every 10 s, each of 6 nodes, 10 services and 15 edges. ",
		m.on.Format("2 January 2006"), cfg.Masters, cfg.Clusters)
	fmt.Fprintf(&b, "Detail queries take 20 ms and, on average, 20 ms more with a long tail. Each script ran for %s", lasting(cfg.Duration))
	if cfg.Load != 1 {
		fmt.Fprintf(&b, " at %s times its rates", number(cfg.Load))
	}
	fmt.Fprintf(&b, ".\n\n**Everything shares one machine of %d cores** (%s), k6 and the simulated agents too: latencies hold their waits for a processor, and the rates are what the machine was asked for, not what a master can do ([docs/scale.md](scale.md) says that). %s, k6 %s, HAProxy %s, Redis %s.\n\n",
		m.cores, m.platform, m.golang, m.k6, m.prox, m.redis)
	b.WriteString("The scripts are in [loadtest/k6](../loadtest/k6), what starts and breaks things in [loadtest/load](../loadtest/load). k6's HTTP client cannot read a stream; its scripts for streams use a module of ours, [loadtest/k6/runner](../loadtest/k6/runner).\n\n")
	writeRequests(&b, results)
	writeStreams(&b, results)
	writeThresholds(&b, results)
	writePlots(&b, results, folder)
	writeEndpoints(&b, results)
	writeProcessors(&b, results)
	return b.String()
}

// lasting writes a duration as people do.
func lasting(d time.Duration) string {
	if d%time.Minute == 0 {
		return fmt.Sprintf("%d min", d/time.Minute)
	}
	return number(d.Seconds()) + " s"
}

// kinds are those of requests and what they are called.
func kinds() []struct{ kind, name string } {
	return []struct{ kind, name string }{{"dashboard", "dashboards"}, {"detail", "details"}, {"all", "all clusters"}}
}

func writeRequests(b *strings.Builder, results []result) {
	b.WriteString("## Requests\n\nLatency in ms as k6 sees it, through the balancer.\n\n")
	b.WriteString("| script | kind | requests | per s | p50 | p95 | p99 | max | failed | not modified | shared |\n|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n")
	for _, r := range results {
		for _, k := range kinds() {
			all := of(r.samples[metricDuration], k.kind)
			if len(all) == 0 {
				continue
			}
			l := latencyOf(all)
			unmodified, shared := "", ""
			switch k.kind {
			case "dashboard":
				unmodified = percent(r.samples[metricNotModified])
			case "detail":
				shared = percent(r.samples[metricShared])
			}
			fmt.Fprintf(b, "| %s | %s | %d | %s | %s | %s | %s | %s | %d | %s | %s |\n", r.script.name, k.name, l.count,
				number(float64(l.count)/r.spans(all).Seconds()), number(l.p50), number(l.p95), number(l.p99), number(l.most), l.failed, unmodified, shared)
		}
	}
	b.WriteString("\n")
}

// spans is from the first sample to the last, at least a second.
func (r result) spans(all []sample) time.Duration {
	first, last := all[0].at, all[0].at
	for _, s := range all {
		if s.at.Before(first) {
			first = s.at
		}
		if s.at.After(last) {
			last = s.at
		}
	}
	return max(last.Sub(first), time.Second)
}

func writeStreams(b *strings.Builder, results []result) {
	rows := 0
	for _, r := range results {
		lag := r.samples[metricLag]
		if len(lag) == 0 {
			continue
		}
		if rows++; rows == 1 {
			b.WriteString("## Streams\n\nThe lag, in ms, is from the moment that a section was collected to the listener's receipt of it.\n\n")
			b.WriteString("| script | events | per s | KB per event | lag p50 | p95 | p99 | max | heartbeats | ended by a master |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n")
		}
		events, l := sum(r.samples[metricEvents]), latencyOf(lag)
		fmt.Fprintf(b, "| %s | %.0f | %s | %s | %s | %s | %s | %s | %.0f | %.0f |\n", r.script.name, events,
			number(events/r.spans(r.samples[metricEvents]).Seconds()), number(sum(r.samples[metricStreamBytes])/1000/max(events, 1)),
			number(l.p50), number(l.p95), number(l.p99), number(l.most), sum(r.samples[metricBeats]), sum(r.samples[metricReconnects]))
	}
	if rows > 0 {
		b.WriteString("\n")
	}
}

// percent is the share of the values that are not 0; nothing when there are none.
func percent(all []sample) string {
	if len(all) == 0 {
		return ""
	}
	return number(100*share(all)) + " %"
}

// writeThresholds has a row for each metric of a script, with all its bounds.
func writeThresholds(b *strings.Builder, results []result) {
	b.WriteString("## Thresholds\n\nWhat was measured stands behind each bound, times in ms; a run that crosses one fails.\n\n| script | metric | bounds | |\n|---|---|---|---|\n")
	for _, r := range results {
		for metric, bounds := range byMetric(r.thresholds) {
			var was []string
			verdict := "held"
			for _, t := range bounds {
				value := number(t.value)
				if t.empty {
					value = "nothing measured"
				}
				if !t.ok {
					value, verdict = "**"+value+"**", "**crossed**"
				}
				was = append(was, fmt.Sprintf("`%s`: %s", t.bound, value))
			}
			fmt.Fprintf(b, "| %s | `%s` | %s | %s |\n", r.script.name, metric, strings.Join(was, ", "), verdict)
		}
	}
	b.WriteString("\n")
}

// byMetric groups thresholds, which are sorted by metric.
func byMetric(all []threshold) iter.Seq2[string, []threshold] {
	return func(yield func(string, []threshold) bool) {
		for len(all) > 0 {
			n := 1
			for n < len(all) && all[n].metric == all[0].metric {
				n++
			}
			if !yield(all[0].metric, all[:n]) {
				return
			}
			all = all[n:]
		}
	}
}

func writePlots(b *strings.Builder, results []result, folder string) {
	b.WriteString("## Over time\n\n")
	for _, r := range results {
		fmt.Fprintf(b, "%s\n\n![%s](%s/%s.svg)\n\n", r.script.about, r.script.title, folder, r.script.name)
	}
}

func (r result) chart() chart {
	c := chart{title: r.script.title, latency: "latency of requests, ms", rate: "requests per second"}
	all := r.samples[metricDuration]
	if r.script.streams {
		c.latency, c.rate, all = "lag of events, ms", "events per second", r.samples[metricLag]
	}
	if len(all) == 0 {
		return c
	}
	began := slices.MinFunc(all, func(a, b sample) int { return a.at.Compare(b.at) }).at
	c.seconds = perSecond(all, began)
	for _, h := range r.happened {
		c.marks = append(c.marks, mark{max(h.at.Sub(began), 0), h.label})
	}
	return c
}

// writeEndpoints tells the endpoints of the mixed load apart.
func writeEndpoints(b *strings.Builder, results []result) {
	at := slices.IndexFunc(results, func(r result) bool { return r.script.name == "mixed" })
	if at < 0 {
		return
	}
	byName := map[string][]sample{}
	for _, s := range results[at].samples[metricDuration] {
		byName[s.name] = append(byName[s.name], s)
	}
	b.WriteString("## The endpoints of the mixed load\n\n| endpoint | requests | p50 | p95 | p99 | failed |\n|---|--:|--:|--:|--:|--:|\n")
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		l := latencyOf(byName[name])
		fmt.Fprintf(b, "| %s | %d | %s | %s | %s | %d |\n", name, l.count, number(l.p50), number(l.p95), number(l.p99), l.failed)
	}
	b.WriteString("\n")
}

// writeProcessors tells who used the machine. It needs Linux.
func writeProcessors(b *strings.Builder, results []result) {
	if !slices.ContainsFunc(results, func(r result) bool { return r.used["masters"] > 0 }) {
		return
	}
	b.WriteString("## Processor time\n\nPercent of one core, over the script's run. Others are processes that have nothing to do with it: where they had much, latencies hold what they took.\n\n| script |")
	parts := []string{"masters", "haproxy", "redis", "fleet", "k6", "others"}
	for _, p := range parts {
		fmt.Fprintf(b, " %s |", p)
	}
	b.WriteString("\n|---|" + strings.Repeat("--:|", len(parts)) + "\n")
	for _, r := range results {
		fmt.Fprintf(b, "| %s |", r.script.name)
		for _, p := range parts {
			fmt.Fprintf(b, " %s |", number(100*r.used[p].Seconds()/r.lasted.Seconds()))
		}
		b.WriteString("\n")
	}
}
