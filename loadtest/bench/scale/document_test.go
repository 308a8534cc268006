package scale_test

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/atlhyper/observe/loadtest/bench/scale"
)

var update = flag.Bool("update", false, "write docs/scale.md as it follows from docs/bench.md")

// docs is where the two documents lie.
var docs = filepath.Join("..", "..", "..", "docs")

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(docs, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func write(t *testing.T, bench string) string {
	t.Helper()
	var text strings.Builder
	if err := scale.Write(&text, bench); err != nil {
		t.Fatal(err)
	}
	return text.String()
}

// TestDocument holds the two documents together: neither is changed without the other.
func TestDocument(t *testing.T) {
	t.Parallel()
	got := write(t, read(t, "bench.md"))
	if *update {
		if err := os.WriteFile(filepath.Join(docs, "scale.md"), []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(read(t, "scale.md"), got); diff != "" {
		t.Errorf("docs/scale.md does not follow from docs/bench.md: run this with -update (-there +follows):\n%s", diff)
	}
}

// TestLinesAreNamed tells whether the prose names every line that a figure is taken
// from, and the bench has every line that the prose names.
func TestLinesAreNamed(t *testing.T) {
	t.Parallel()
	bench := read(t, "bench.md")
	var named []string
	for _, found := range regexp.MustCompile("`([a-e]/[^`]+)`").FindAllStringSubmatch(write(t, bench), -1) {
		if name := found[1]; !slices.Contains(named, name) {
			named = append(named, name)
		}
	}
	for _, name := range named {
		if !strings.Contains(bench, "\n"+name+" ") {
			t.Errorf("%s is no line of the bench", name)
		}
	}
	for _, name := range scale.Lines() {
		if !slices.Contains(named, name) {
			t.Errorf("figures are taken from %s, which is nowhere named", name)
		}
	}
}

// small is a bench of one table, as bench.md has it, with the other lines that are
// needed made up.
func small() string {
	var text strings.Builder
	text.WriteString("# What serving costs\n\n```text\n" +
		"go1.26.8, 4 cores, linux/amd64, load average before 9.00 4.50 3.00; 5 rounds of 1s, 6m49s in all\n\n" +
		"(e) Nobody asks: 70 clusters of 6 nodes, 10 services and 15 edges, with an agent each\n" +
		"  For each cluster and second, over 2 intervals of 5s each time, as the redis-server counts it (INFO).\n\n")
	const columns = "bytes  CPU µs  bytes in/s  bytes out/s  Redis CPU µs/s  connections  their KB  process CPU µs/s  memory KB  CPU server  CPU master  agent  Redis"
	text.WriteString(strings.Repeat(" ", 30) + columns + "  \n")
	for _, name := range scale.Lines() {
		text.WriteString(name + "   6 nodes, 16 connections: what it is" + strings.Repeat("  12.5", 13) + "  \n")
	}
	return text.String()
}

func TestRead(t *testing.T) {
	t.Parallel()
	m, err := scale.Read(strings.Replace(small(), "e/changed/agents   6 nodes, 16 connections: what it is  12.5  12.5  12.5  12.5  12.5  12.5  12.5",
		"e/changed/agents  nothing  -  -  3664  205.5  225  5.33  104", 1))
	if err != nil {
		t.Fatal(err)
	}
	want := scale.Measured{
		Cores: 4, Load: "9.00 4.50 3.00", Clusters: 70, Interval: 5 * time.Second,
		Agent: scale.Agent{In: 3664, Out: 205.5, Redis: 225e-6, Connections: 5.33, Memory: 104e3},
	}
	got := scale.Measured{Cores: m.Cores, Load: m.Load, Clusters: m.Clusters, Interval: m.Interval, Agent: m.Agent}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if !m.Busy() {
		t.Error("a load average of 4.5 in 5 minutes on 4 cores is not busy")
	}
}

func TestReadNames(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ old, new, want string }{
		"no line":           {"\nb/50/http ", "\nb/49/http ", "no line b/50/http"},
		"no column":         {"  agent  Redis", "  agent  Valkey", `the line b/50/http has no "Redis"`},
		"no figure":         {"\nb/50/http   6 nodes, 16 connections: what it is" + strings.Repeat("  12.5", 12), "\nb/50/http  what" + strings.Repeat("  -", 12), `"-" is no figure`},
		"no number":         {"\nb/50/http   6 nodes, 16 connections: what it is" + strings.Repeat("  12.5", 12), "\nb/50/http  what" + strings.Repeat("  NaN", 12), `"NaN" is no figure`},
		"too many":          {"  12.5  \n", "  12.5  12.5  \n", "has 14 figures for 13 columns"},
		"no cores":          {", 4 cores,", ", 4 CPUs,", "the number of cores"},
		"no load":           {"load average before ", "", "the load average"},
		"no clusters":       {"(e) Nobody asks: 70", "(e) Nobody asks: some", "the number of clusters"},
		"no interval":       {"intervals of 5s", "intervals of five", "the interval"},
		"a negative one":    {"intervals of 5s", "intervals of -5s", "the interval"},
		"nothing":           {small(), "", "the number of cores"},
		"more than can be":  {"70 clusters", "70000000000000000000 clusters", "the number of clusters"},
		"a line before all": {"\n(e) Nobody", "\na/6/16/master  what  1\n(e) Nobody", "has 1 figures for 0 columns"},
	} {
		text := strings.Replace(small(), test.old, test.new, 1)
		if text == small() {
			t.Errorf("%s: nothing was replaced", name)
		}
		_, err := scale.Read(text)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want an error with %q", name, err, test.want)
		}
	}
	// All that is missing is named at once.
	_, err := scale.Read(strings.NewReplacer("\nb/50/http ", "\nb/4/http ", "\ne/changed/agents ", "\ne/agents ").Replace(small()))
	if err == nil || !strings.Contains(err.Error(), "b/50/http") || !strings.Contains(err.Error(), "e/changed/agents") {
		t.Errorf("%v, want an error that names both lines", err)
	}
}

// A difference of two counts may be lost in what else the machine did; the document
// says so.
func TestBelowZero(t *testing.T) {
	t.Parallel()
	bench := strings.Replace(small(), "e/unchanged/master   6 nodes, 16 connections: what it is  12.5  12.5",
		"e/unchanged/master  what  -3.00  -4.00", 1)
	if m, err := scale.Read(bench); err != nil || len(m.BelowZero) != 0 {
		t.Errorf("%v, %v: columns that nothing is taken from", m.BelowZero, err)
	}
	bench = strings.Replace(bench, "e/unchanged/master  what  -3.00  -4.00  12.5  12.5  12.5", "e/unchanged/master  what  1  2  3  4  -20.00", 1)
	m, err := scale.Read(bench)
	if err != nil {
		t.Fatal(err)
	}
	if m.FollowUnchanged.Redis != 0 || m.FollowUnchanged.Out != 4 {
		t.Errorf("%+v", m.FollowUnchanged)
	}
	if text := write(t, bench); !strings.Contains(text, "Differences that came out below zero count as nothing: `e/unchanged/master` (Redis CPU µs/s).") {
		t.Errorf("the document does not say what came out below zero:\n%.1500s", text)
	}
}
