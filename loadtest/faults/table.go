// Package faults breaks the parts of a running product, one at a time, while
// verified load goes on, and writes down what users saw (docs/faults.md). Its
// tests take minutes and run with make test-faults.
package faults

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/atlhyper/observe/loadtest/verify"
)

// Row is what one fault did.
type Row struct {
	// Order is the place in the table.
	Order int
	// Fault is what was broken, and how.
	Fault string
	// Dashboards and Details are the answers while the fault lasted.
	Dashboards, Details verify.Counts
	// Wrong is how many answers were wrong, before, during and after.
	Wrong int
	// SaidUnknown is how many answers said that a cluster is unknown which had been
	// shown before; they are among the wrong ones.
	SaidUnknown int
	// Recovery is from the end of the fault to the moment from which everything was
	// fresh and answered again.
	Recovery time.Duration
	// Interval is between two publishes.
	Interval time.Duration
	// Within is how many intervals the recovery may take; 0 means that it is not
	// bounded.
	Within int
	// Note is what else there is to say.
	Note string
}

// Late is how much longer than it may the recovery took; 0 when it did not.
func (r Row) Late() time.Duration {
	if r.Within == 0 {
		return 0
	}
	return max(r.Recovery-time.Duration(r.Within)*r.Interval, 0)
}

// recovery is the cell of the table.
func (r Row) recovery() string {
	text := intervals(r.Recovery, r.Interval)
	if r.Late() > 0 {
		return fmt.Sprintf("**%s, more than %d**", text, r.Within)
	}
	return text
}

// Table is the rows in Markdown. Its numbers are coarse, so that two runs write the
// same unless something changed.
func Table(rows []Row) string {
	slices.SortFunc(rows, func(a, b Row) int { return cmp.Compare(a.Order, b.Order) })
	var text strings.Builder
	text.WriteString("| fault | dashboards meanwhile | details meanwhile | longest answer | wrong answers | said unknown | whole again after |\n|---|---|---|---|---|---|---|\n")
	for _, r := range rows {
		fault := r.Fault
		if r.Note != "" {
			fault += ". " + r.Note
		}
		fmt.Fprintf(&text, "| %s | %s | %s | %s | %d | %d | %s |\n", fault, shares(r.Dashboards), shares(r.Details),
			atMost(max(r.Dashboards.Worst, r.Details.Worst)), r.Wrong, r.SaidUnknown, r.recovery())
	}
	return text.String()
}

// shares says how the answers spread, in words that do not depend on the second in
// which something was noticed.
func shares(c verify.Counts) string {
	total := c.Total()
	if total == 0 {
		return "-"
	}
	codes := slices.SortedFunc(maps.Keys(c.Codes), func(a, b string) int {
		return cmp.Or(cmp.Compare(rank(c.Codes[b], total), rank(c.Codes[a], total)), cmp.Compare(a, b))
	})
	words := make([]string, 0, len(codes))
	for _, code := range codes {
		words = append(words, [...]string{"few", "some", "most", "all"}[rank(c.Codes[code], total)]+" `"+code+"`")
	}
	return strings.Join(words, ", ")
}

// rank: less than 5 %, less than half, less than all, all.
func rank(n, total int) int {
	switch {
	case n == total:
		return 3
	case 2*n >= total:
		return 2
	case 20*n >= total:
		return 1
	}
	return 0
}

// atMost rounds up to a step of 1, 3, 10, 30 ….
func atMost(d time.Duration) string {
	for step := 100 * time.Millisecond; ; step *= 10 {
		for _, limit := range []time.Duration{step, 3 * step} {
			if d <= limit {
				return "≤ " + limit.String()
			}
		}
	}
}

// intervals rounds up to halves.
func intervals(d, interval time.Duration) string {
	halves := (2*d + interval - 1) / interval
	unit := "intervals"
	if halves <= 2 {
		unit = "interval"
	}
	return fmt.Sprintf("≤ %g %s", float64(max(halves, 1))/2, unit)
}

// Document is docs/faults.md around the table.
func Document(table string, interval time.Duration) string {
	return fmt.Sprintf(head, interval) + table
}

const head = `# What users see when something breaks

Written by ` + "`make test-faults`" + `: one fault at a time, while dashboards and details are asked for at a steady rate and every answer is verified against what the cluster really showed. Agents publish every %s; a detail waits 5 s at most.

What is real: Redis is redis-server processes, on one machine, which are told another time with libfaketime where their clock is set; where that is not at hand, these two rows have an embedded stand-in (miniredis) and say so. Agents and masters are the product's code, and run as goroutines of the test in most rows; those that are killed or frozen are processes of their own, built from this tree. Agents publish and answer telemetry that is made up, so that it is known what each answer must be; in the rows about ClickHouse one agent of three reads captured telemetry from the real engine. Where the network is what breaks, it is toxiproxy's, on the loopback interface.

An answer is wrong when its value is not one that this cluster published as a whole, when it belongs to another cluster, request or publish than it says, goes back in time on one replica, is older than 3 intervals without saying so, or holds, anywhere in its body, a host and port of the stack, 127.0.0.1, localhost or [::1]. "Said unknown" counts those of the wrong answers that called a cluster unknown which had been shown before: masters remember it, also when Redis has lost everything. "Whole again" is counted from the end of the fault until, on every replica and for every cluster, all nine sections are collected anew and a detail is answered; nothing is restarted for it, except what the fault's name says.

After each fault all keys of commands, replies and shared results are gone, and there are no more other keys, no more subscribed connections than before. Of others, each process may have as many as its pools keep: 12, in Redis Cluster 6 to each server. Goroutines of the agents and masters that run in the test are within a tenth and 10 of what they were; beside ClickHouse 32 more, those of its connections.

` + "`ok`" + ` is fresh data, ` + "`stale`" + ` data that says how old it is and why; the others are the API's error codes. "few" is less than 5 %%, "some" less than half.

`
