package dashboard_test

import (
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/atlhyper/observe/master/dashboard"
	"github.com/atlhyper/observe/redis/redistest"
	"github.com/atlhyper/observe/redis/snapshot"
	"github.com/atlhyper/observe/shared/model"
)

// words is derived from a text: how many words it has.
type words int64

func (words) Bytes() int64 { return 1 << 20 }

// What is derived from a section is made once for all who ask, counted, not made again
// when only the time of the collection is another one, and made anew of other data.
func TestDerivedIsMadeOnce(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	a := newAgent(t, server, cluster, 10*time.Second)
	publish := func(value string) {
		t.Helper()
		if _, err := a.writer.Publish(t.Context(), []snapshot.Update{{Name: edges, Data: encode(t, value), At: time.Now()}}); err != nil {
			t.Fatal(err)
		}
	}
	publish("two words")
	r := startReplica(t, server, patient)
	var made atomic.Int64
	count := func(data []byte) (words, error) {
		made.Add(1)
		return words(len(strings.Fields(string(data)))), nil
	}
	derive := func(want words) *dashboard.Answer {
		t.Helper()
		answer, _, err := r.get(t, edges)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := dashboard.Derive(answer, count); err != nil || got != want {
			t.Errorf("derived %d, %v; want %d", got, err, want)
		}
		return answer
	}
	first := derive(2)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() { derive(2) })
	}
	all.Wait()
	redistest.Eventually(t, "it is counted", func() bool { return r.metric(t, "master_cache_bytes") > 1<<20 })
	publish("two words")
	second, _ := r.until(t, edges, "it was collected again", func(b body) bool { return b.Meta.CollectedAt.After(first.CollectedAt()) })
	if derive(2); made.Load() != 1 || second.Bytes() < 1<<20 {
		t.Errorf("made %d times; the second answer takes %d bytes", made.Load(), second.Bytes())
	}
	publish("now three words")
	r.until(t, edges, "it is another one", func(b body) bool { return strings.Contains(string(b.Data), "three") })
	if derive(3); made.Load() != 2 {
		t.Errorf("made %d times", made.Load())
	}
}

type other struct{}

func (other) Bytes() int64 { return 0 }

func TestDeriveFails(t *testing.T) {
	t.Parallel()
	a := newAnswer(t, []byte("{}"))
	broken, calls := errors.New("broken"), 0
	for range 2 {
		if _, err := dashboard.Derive(a, func([]byte) (words, error) { calls++; return 0, broken }); !errors.Is(err, broken) {
			t.Errorf("%v, want %v", err, broken)
		}
	}
	if calls != 1 {
		t.Errorf("tried %d times", calls)
	}
	a = newAnswer(t, []byte("{}"))
	if _, err := dashboard.Derive(a, func([]byte) (words, error) { return 1, nil }); err != nil {
		t.Error(err)
	}
	if _, err := dashboard.Derive(a, func([]byte) (other, error) { return other{}, nil }); err == nil {
		t.Error("two types are derived from one section")
	}
}

// A held cluster is what Cluster says of it, with the sections that are held.
func TestHeldCluster(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	if _, ok := h.service.Held(cluster); ok {
		t.Error("nothing is held yet")
	}
	h.publish(t, model.SectionKubeSummary, model.KubeSummary{Pods: &model.KubePodCounts{Total: 9}}, "")
	h.publish(t, edges, "x", "")
	h.section(t, model.SectionKubeSummary)
	want, err := h.service.Cluster(t.Context(), cluster)
	if err != nil {
		t.Fatal(err)
	}
	// It is checked each second; on a machine that is slow, that may be overdue.
	var got dashboard.Cluster
	redistest.Eventually(t, "it is held", func() (ok bool) {
		h.section(t, model.SectionKubeSummary)
		got, ok = h.service.Held(cluster)
		return ok
	})
	if got.ID != want.ID || got.Snapshot != want.Snapshot || len(got.Agents) != 1 || got.Agents[0].Instance != "agent-1" || got.Pods == nil || *got.Pods != 9 || got.Nodes != nil {
		t.Errorf("held %+v, want %+v", got, want)
	}
	if state := got.Sections[model.SectionKubeSummary]; len(got.Sections) != 1 || state.Seq != want.Sections[model.SectionKubeSummary].Seq || state.At == "" || state.Stale {
		t.Errorf("sections %+v", got.Sections)
	}
}

// A section that was never collected has no age, whoever says so.
func TestWhatWasNeverCollectedHasNoAge(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.put(t, model.SectionKubeSummary, nil, "forbidden")
	enlist(t, h.redis, cluster)
	want, err := h.service.Cluster(t.Context(), cluster)
	if err != nil {
		t.Fatal(err)
	}
	redistest.Eventually(t, "the section is held, which the fleet shows", func() bool {
		if _, err := h.service.Fleet(t.Context()); err != nil {
			t.Fatal(err)
		}
		got, ok := h.service.Held(cluster)
		state := got.Sections[model.SectionKubeSummary]
		if ok && state.AgeSeconds != 0 || want.Sections[model.SectionKubeSummary].AgeSeconds != 0 {
			t.Fatalf("held %+v, in Redis %+v: want no age", state, want.Sections[model.SectionKubeSummary])
		}
		return ok && state.Error == "forbidden"
	})
}
