package serve

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/atlhyper/observe/loadtest/bench/scale"
	"github.com/atlhyper/observe/redis/redistest"
)

// The test runs at a size that is only just of use: it is about the answers. make
// bench gives the sizes that the README speaks of.
var (
	rounds      = flag.Int("rounds", 1, "how often each figure is measured; medians are printed")
	duration    = flag.Duration("duration", 30*time.Millisecond, "how long each closed loop runs")
	nodes       = flag.String("nodes", "6,100", "sizes of the clusters, separated by commas")
	connections = flag.String("connections", "1,16", "numbers of callers of dashboards, separated by commas")
	inFlight    = flag.String("in-flight", "1,50", "numbers of callers of details, separated by commas")
	clusters    = flag.Int("clusters", 2, "clusters where costs of each cluster are counted")
	interval    = flag.Duration("interval", 2*time.Second, "between two publishes of an agent")
	intervals   = flag.Int("intervals", 1, "how many of them long it is counted what clusters cost that nobody asks for")
	parts       = flag.String("parts", strings.Join(Parts(), ","), "what to measure, separated by commas")
	binary      = flag.String("master", "", "the product's binary; without it masters run in processes of the test")
	profile     = flag.String("profile", "", "directory for profiles of the masters, which then run in processes of the test")
	document    = flag.String("document", "", "file that the tables are written to, as Markdown")
	follows     = flag.String("scale", "", "file that is written with what follows from the tables; needs the lines that it follows from")
	toStdout    = flag.Bool("print", false, "print what is measured now, and the tables")
)

func TestMain(m *testing.M) {
	if child, err := Child(); child {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// numbers reads a flag.
func numbers(t *testing.T, text string) []int {
	t.Helper()
	var list []int
	for part := range strings.SplitSeq(text, ",") {
		n, err := strconv.Atoi(part)
		if err != nil || n < 1 {
			t.Fatalf("%q is not a list of numbers", text)
		}
		list = append(list, n)
	}
	return list
}

// TestServe measures, prints, and checks what does not depend on the machine: all
// answers are checked while they are measured.
func TestServe(t *testing.T) {
	p := Plan{
		Redis: redistest.Start(t).URL(), Spare: redistest.Start(t).URL(), Master: *binary, Dir: t.TempDir(), Profile: *profile,
		Rounds: *rounds, Length: *duration, Nodes: numbers(t, *nodes), Connections: numbers(t, *connections), InFlight: numbers(t, *inFlight),
		Clusters: *clusters, Interval: *interval, Intervals: *intervals, Parts: strings.Split(*parts, ","), Progress: lines{t},
	}
	for _, part := range p.Parts {
		if !slices.Contains(Parts(), part) {
			t.Fatalf("-parts: there is no %q, only %v", part, Parts())
		}
	}
	var missing []string
	for _, line := range scale.Lines() {
		if len(p.Parts) < len(Parts()) || !slices.Contains(wantRows(p), line) {
			missing = append(missing, line)
		}
	}
	if *follows != "" && missing != nil {
		t.Fatalf("-scale: nothing would measure %v", missing)
	}
	report, err := p.Measure(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Parts) == len(Parts()) {
		if diff := cmp.Diff(wantRows(p), rowIDs(report)); diff != "" {
			t.Errorf("lines (-want +got):\n%s", diff)
		}
	}
	for _, target := range report.Targets {
		if target.Same && !target.Met() {
			t.Logf("%s", target)
		}
	}
	var text strings.Builder
	if err := report.Write(&text); err != nil {
		t.Fatal(err)
	}
	if *toStdout {
		fmt.Fprintln(os.Stdout, text.String())
	} else {
		t.Log("\n" + text.String())
	}
	text.Reset()
	if err := report.WriteDocument(&text); err != nil {
		t.Fatal(err)
	}
	write(t, *document, text.String())
	if missing == nil {
		writeScale(t, text.String())
	}
}

// writeScale writes what follows from a document. A run that is not asked for it may be
// too short for that: it only has to have the figures.
func writeScale(t *testing.T, bench string) {
	t.Helper()
	if *follows == "" {
		if _, err := scale.Read(bench); err != nil {
			t.Error(err)
		}
		return
	}
	var text strings.Builder
	if err := scale.Write(&text, bench); err != nil {
		t.Fatal(err)
	}
	write(t, *follows, text.String())
}

// write writes a file; "" is none.
func write(t *testing.T, path, text string) {
	t.Helper()
	if path == "" {
		return
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// wantRows are the lines of a whole report.
func wantRows(p Plan) []string {
	var want []string
	add := func(id string, names ...string) {
		for _, name := range names {
			want = append(want, id+"/"+name)
		}
	}
	for _, n := range p.Nodes {
		for _, c := range p.Connections {
			add(fmt.Sprintf("a/%d/%d", n, c), "bare", "master", "structs", "replica1", "replica3")
		}
		add(fmt.Sprintf("a/%d/gzip", n), "bare", "master")
		add(fmt.Sprintf("a/%d/304", n), "bare", "master")
	}
	for _, n := range p.InFlight {
		add(fmt.Sprintf("b/%d", n), "blpop", "http", "poll")
	}
	for _, n := range append(slices.Clone(p.Nodes), 0) {
		id := fmt.Sprintf("c/%d", n)
		if n == 0 {
			id = "c/300KB"
		}
		add(id, "encode", "encode-json", "decode", "decode-json", "transcode", "structs")
	}
	for _, n := range p.Nodes {
		for _, form := range []string{"plain", "zstd"} {
			add(fmt.Sprintf("d/%d/%s", n, form), "values", "keys", "memory", "changed", "unchanged", "beats")
		}
	}
	for _, state := range []string{"unchanged", "changed"} {
		add("e/"+state, "agents", "master")
	}
	return want
}

func rowIDs(r Report) []string {
	var ids []string
	for _, t := range r.Tables {
		for _, row := range t.Rows {
			ids = append(ids, row.ID)
		}
	}
	return ids
}

// lines writes what is measured now where -print says.
type lines struct{ t *testing.T }

func (l lines) Write(text []byte) (int, error) {
	if *toStdout {
		return os.Stdout.Write(text)
	}
	l.t.Log(strings.TrimSpace(string(text)))
	return len(text), nil
}

// The quantiles are by the nearest rank, and a rate is of all calls in the time.
func TestSample(t *testing.T) {
	t.Parallel()
	s := sample{calls: 200, took: 2 * time.Second, used: []time.Duration{time.Second, 2 * time.Second, 4 * time.Second}, client: time.Second}
	for i := range 200 {
		s.latencies = append(s.latencies, time.Duration(i+1)*time.Millisecond)
	}
	got := map[string]float64{
		"rate": s.perSecond(), "p50": s.p50(), "p99": s.p99(), "first": s.quantile(0), "last": s.quantile(1),
		"servers": serversPerCall(s), "redis": redisPerCall(s), "client": s.clientPerCall(),
	}
	want := map[string]float64{
		"rate": 100, "p50": 100, "p99": 198, "first": 1, "last": 200,
		"servers": 15000, "redis": 20000, "client": 5000,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	slow := sample{calls: 50, took: 2 * time.Second, latencies: s.latencies}
	if got := ratio([]sample{s, s, slow}, []sample{slow, slow, s}, sample.perSecond); got != 4 {
		t.Errorf("ratio %v: want the median of 4, 4 and 1/4", got)
	}
}
