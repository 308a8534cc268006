package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/atlhyper/observe/loadtest/chdb/chdbtest"
	"github.com/atlhyper/observe/redis/redistest"
)

// The test runs at a size that is only just of use. make bench-collect gives the
// sizes that the README speaks of.
var (
	nodes    = flag.String("nodes", "2", "numbers of nodes, separated by commas")
	runs     = flag.Int("runs", 1, "how often each is measured; medians are printed")
	naive    = flag.Int("naive-nodes", 100, "how many nodes the naive way is measured with at most; 10 where there are more than 100")
	spans    = flag.Int("spans", 20, "spans per second of all services together")
	names    = flag.Int("services", 10, "services: a multiple of 10")
	toStdout = flag.Bool("print", false, "print the tables as soon as they are there")
)

// jobVariable holds the Job of a process that is an agent.
const jobVariable = "ATLHYPER_BENCH_JOB"

func TestMain(m *testing.M) {
	if job, ok := os.LookupEnv(jobVariable); ok {
		os.Exit(beAgent(job))
	}
	os.Exit(m.Run())
}

func beAgent(text string) int {
	var job Job
	err := json.Unmarshal([]byte(text), &job)
	if err == nil {
		var report Report
		if report, err = job.Run(context.Background()); err == nil {
			err = json.NewEncoder(os.Stdout).Encode(report)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// runAgent runs a job in a process of its own.
func runAgent(t *testing.T, job Job) Report {
	t.Helper()
	text, err := json.Marshal(job)
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), jobVariable+"="+string(text))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("the agent's process: %v\n%s", err, stderr.String())
	}
	var report Report
	if err := json.Unmarshal(out, &report); err != nil {
		t.Fatal(err)
	}
	return report
}

// TestCollect measures, prints, and checks what does not depend on the machine.
func TestCollect(t *testing.T) {
	engine := chdbtest.Start(t, chdbtest.WithArgs("--max-memory=8000000000"))
	redis := redistest.Start(t)
	var results []Result
	for _, text := range strings.Split(*nodes, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			t.Fatalf("-nodes: %q is not a number of nodes", text)
		}
		size := Size{Nodes: n, Cores: 8, Services: *names, SpansPerSecond: *spans, Scrapes: 60, Every: 15 * time.Second}
		database := engine.Database(t)
		conn := engine.Open(t, database)
		until := time.Date(2026, 11, 23, 12, 40, 0, 0, time.UTC)
		began := time.Now()
		if err := Generate(t.Context(), conn, database, size, until); err != nil {
			t.Fatal(err)
		}
		report(t, "made %s of telemetry of %d nodes and %d services in %s\n", size.Length(), n, size.Services, time.Since(began).Round(time.Second))
		plan := Plan{DSN: engine.DSN(database), Until: until, Nodes: n, Runs: *runs, NaiveNodes: *naive, ServerPID: engine.Pid()}
		if n > 100 {
			plan.NaiveNodes = min(plan.NaiveNodes, 10)
		}
		r, err := plan.Measure(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		r.Cycles = runAgent(t, Job{DSN: plan.DSN, Redis: redis.URL(), Until: until.Unix(), Cycles: *runs})
		check(t, r)
		results = append(results, r)
	}
	var tables strings.Builder
	if err := Write(&tables, results); err != nil {
		t.Fatal(err)
	}
	report(t, "\n%s", tables.String())
}

func report(t *testing.T, format string, args ...any) {
	t.Helper()
	if *toStdout {
		if _, err := fmt.Fprintf(os.Stdout, format, args...); err != nil {
			t.Error(err)
		}
		return
	}
	t.Logf(format, args...)
}

// check checks statements and rows: they are the same on any machine.
func check(t *testing.T, r Result) {
	t.Helper()
	if r.Round.Statements > 12 {
		t.Errorf("a round sent %d statements, want at most 12", r.Round.Statements)
	}
	if r.Naive.Statements < int64(r.Nodes)*32 {
		t.Errorf("the naive way sent %d statements for %d nodes, want 32 each", r.Naive.Statements, r.Nodes)
	}
	if r.Needed.Rows == 0 || r.Needed.Rows > r.Bound.Rows {
		t.Errorf("the bounds read %d and %d rows", r.Needed.Rows, r.Bound.Rows)
	}
	for _, s := range r.Sections {
		if s.Statements == 0 || s.Rows == 0 || s.Bytes == 0 || s.Took == 0 {
			t.Errorf("section %s read nothing: %+v", s.Name, s.Cost)
		}
	}
	// Times are marked in the table: others who use the machine may spoil them.
	for _, target := range r.Targets() {
		if target.Same && !target.Met() {
			t.Error(target)
		}
	}
	if len(r.Cycles.CyclesMs) == 0 || r.Cycles.SectionBytes == 0 {
		t.Errorf("the agent's process reports %+v", r.Cycles)
	}
}
