package kube

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"k8s.io/client-go/rest"

	"github.com/atlhyper/observe/loadtest/proc"
	"github.com/atlhyper/observe/shared/codec"
	"github.com/atlhyper/observe/shared/model"
)

var (
	toStdout = flag.Bool("print", false, "TestBench: measure, and print the table")
	runs     = flag.Int("runs", 5, "TestBench: how many processes are measured, one after the other")
	measured = flag.String("measured", "", "TestBench: be the process that is measured, on the cluster of this kubeconfig")
)

// publisher does what the agent does with sections but for Redis: those whose version
// moved are encoded, and compressed when they are long.
type publisher struct {
	seen       map[model.Section]uint64
	compressor *zstd.Encoder
}

// written is a section that was encoded.
type written struct {
	Name          model.Section
	Objects       int
	Bytes, Packed int
}

// stored is what it takes in Redis.
func (w written) stored() int {
	if w.Bytes > packAbove {
		return w.Packed
	}
	return w.Bytes
}

func newPublisher(t *testing.T) *publisher {
	t.Helper()
	// As redis/snapshot does.
	compressor := must[*zstd.Encoder](t)(zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<20)))
	return &publisher{seen: make(map[model.Section]uint64), compressor: compressor}
}

// publish returns what was encoded.
func (p *publisher) publish(t *testing.T, c *Cluster) []written {
	t.Helper()
	var out []written
	for _, name := range c.Sections() {
		s, err := c.Section(name)
		if err != nil {
			t.Fatal(err)
		}
		if s.Version == p.seen[name] {
			continue
		}
		p.seen[name] = s.Version
		data := must[[]byte](t)(codec.Encode(s.Value))
		w := written{Name: name, Objects: 1, Bytes: len(data), Packed: len(p.compressor.EncodeAll(data, nil))}
		if list := reflect.ValueOf(s.Value); list.Kind() == reflect.Slice {
			w.Objects = list.Len()
		}
		out = append(out, w)
	}
	return out
}

// result is what a process that is measured tells of itself; memory in bytes.
type result struct {
	Read      time.Duration // from the start until all kinds are there
	Build     time.Duration // of all sections from them
	Encode    time.Duration // of all sections, with those compressed that are long
	Processor time.Duration // for all that, and to start
	Sections  []written
	Held      int64 // by informers and sections
	Heap      int64 // what lives after all that, with the compressor's
	RSS, Peak int64
	Rebuild   time.Duration // of what one pod's change changes, once it is heard of
	Changed   []written
}

// TestBench prints what the large cluster costs an agent, each time in a process of
// its own. It fails only when that cannot be measured.
func TestBench(t *testing.T) {
	if *measured != "" {
		measure(t)
		return
	}
	if !*toStdout {
		t.Skip("make bench-kube runs it")
	}
	client := admin(t)
	ns := fill(t, client)
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(kubeconfig, server.Kubeconfig(t), 0o600); err != nil {
		t.Fatal(err)
	}
	results := make([]result, *runs)
	for i := range results {
		results[i] = bench(t, kubeconfig, func() { fail(t, client, ns, largePod(largePods/2).Name) })
	}
	if _, err := os.Stdout.WriteString(table(results)); err != nil {
		t.Fatal(err)
	}
}

// wantsChange is what measure writes when it waits for a pod's change.
const wantsChange = "change"

// bench runs measure in another process.
func bench(t *testing.T, kubeconfig string, change func()) result {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestBench$", "-measured", kubeconfig) //nolint:gosec // this program
	cmd.Stderr = os.Stderr
	lines := bufio.NewScanner(must[io.Reader](t)(cmd.StdoutPipe()))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var out result
	for lines.Scan() {
		switch line := lines.Bytes(); {
		case string(line) == wantsChange:
			change()
		case bytes.HasPrefix(line, []byte("{")):
			if err := json.Unmarshal(line, &out); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := errors.Join(lines.Err(), cmd.Wait()); err != nil || out.Changed == nil {
		t.Fatalf("the process that is measured ends early: %v", err)
	}
	return out
}

func measure(t *testing.T) {
	t.Helper()
	agent := newPublisher(t)
	agent.compressor.EncodeAll([]byte(wantsChange), nil) // it takes its memory now
	before := int64(heap())
	began := time.Now()
	c := follow(t, must[*rest.Config](t)(Connect(*measured)))
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for slices.ContainsFunc(c.informers, func(inf *informer) bool { return !inf.shared.HasSynced() }) {
		<-ticker.C
	}
	var out result
	out.Read = time.Since(began)
	began = time.Now()
	for _, name := range c.Sections() {
		must[Section](t)(c.Section(name))
	}
	out.Build = time.Since(began)
	out.Held = int64(heap()) - before
	began = time.Now()
	out.Sections = agent.publish(t, c)
	out.Encode = time.Since(began)
	out.Processor = must[time.Duration](t)(proc.ProcessorTime(os.Getpid()))
	out.Peak = must[int64](t)(proc.PeakMemory(os.Getpid()))
	out.Heap = int64(heap())
	out.RSS = must[int64](t)(proc.ResidentMemory(os.Getpid()))

	select {
	case <-c.Changed():
	default:
	}
	say(t, wantsChange)
	for len(out.Changed) == 0 {
		<-c.Changed()
		began = time.Now()
		out.Changed = agent.publish(t, c)
		out.Rebuild = time.Since(began)
	}
	say(t, string(must[[]byte](t)(json.Marshal(out))))
}

func say(t *testing.T, line string) {
	t.Helper()
	if _, err := fmt.Fprintf(os.Stdout, "\n%s\n", line); err != nil {
		t.Fatal(err)
	}
}

// table is what TestBench prints: medians.
func table(results []result) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d pods, %d nodes, %d services with deployments, %d events; medians of %d processes, load average %s\n\n",
		largePods, largeNodes, largePods/10, maxEvents, len(results), proc.LoadAverage())
	times := func(what string, of func(result) time.Duration) {
		fmt.Fprintf(&b, "%-48s %9.1f ms\n", what, float64(median(results, of))/1e6)
	}
	memory := func(what string, of func(result) int64) {
		fmt.Fprintf(&b, "%-48s %9.1f MB\n", what, float64(median(results, of))/(1<<20))
	}
	times("all kinds read", func(r result) time.Duration { return r.Read })
	times("all sections built", func(r result) time.Duration { return r.Build })
	times("all sections encoded and compressed", func(r result) time.Duration { return r.Encode })
	times("the first snapshot: all that", func(r result) time.Duration { return r.Read + r.Build + r.Encode })
	times("processor time until then", func(r result) time.Duration { return r.Processor })
	times("built, encoded, compressed after a pod's change", func(r result) time.Duration { return r.Rebuild })
	memory("held by informers and sections", func(r result) int64 { return r.Held })
	memory("heap, with the compressor", func(r result) int64 { return r.Heap })
	memory("resident memory", func(r result) int64 { return r.RSS })
	memory("resident memory at its peak", func(r result) int64 { return r.Peak })

	changed := results[0].Changed
	fmt.Fprintf(&b, "\n%-24s %8s %10s %10s %10s\n", "section", "objects", "bytes", "as zstd", "stored")
	var all written
	stored := 0
	for _, s := range results[0].Sections {
		note := ""
		if slices.ContainsFunc(changed, func(c written) bool { return c.Name == s.Name }) {
			note = "  written anew for one pod"
		}
		fmt.Fprintf(&b, "%-24s %8d %10d %10d %10d%s\n", s.Name, s.Objects, s.Bytes, s.Packed, s.stored(), note)
		all.Objects, all.Bytes, all.Packed, stored = all.Objects+s.Objects, all.Bytes+s.Bytes, all.Packed+s.Packed, stored+s.stored()
	}
	fmt.Fprintf(&b, "%-24s %8d %10d %10d %10d\n", "all", all.Objects, all.Bytes, all.Packed, stored)
	return b.String()
}

func median[V cmp.Ordered](results []result, of func(result) V) V {
	values := make([]V, len(results))
	for i, r := range results {
		values[i] = of(r)
	}
	slices.Sort(values)
	return values[len(values)/2]
}
