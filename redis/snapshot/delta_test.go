package snapshot_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/redis/snapshot"
	"github.com/atlhyper/observe/shared/model"
)

// received is how many bytes the server got so far.
func (r *rig) received() int {
	r.t.Helper()
	info := r.admin.Info(r.t.Context(), "stats").Val()
	found := regexp.MustCompile(`total_net_input_bytes:(\d+)`).FindStringSubmatch(info)
	if found == nil {
		r.t.Fatalf("no number of bytes in %q", info)
	}
	n, err := strconv.Atoi(found[1])
	if err != nil {
		r.t.Fatal(err)
	}
	return n
}

// sent is how many bytes the server gets by do.
func (r *rig) sent(do func()) int {
	r.t.Helper()
	start := r.received()
	ask := r.received() - start // the question itself
	start = r.received()
	do()
	return r.received() - start - ask
}

// An interval in which nothing changed but what the collections took and read is under
// 2 KB, the publish and its beats together; and so is that of an agent that stands by.
func TestUnchangedIntervalIsSmall(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	const ours, others = "agent-5f6d8c9b7d-x2x4z-0123456789abcdef", "agent-5f6d8c9b7d-y3y5a-0123456789abcdef"
	w := r.writer(func(c *snapshot.WriterConfig) { c.Instance = ours })
	second := r.writer(func(c *snapshot.WriterConfig) { c.Instance = others })
	round := 0
	publish := func(w *snapshot.Writer) snapshot.Published {
		round++
		at := time.Now()
		var updates []snapshot.Update
		for i, name := range []model.Section{"metrics.nodes", "metrics.summary", "logs.summary", "logs.histogram", "traces.services",
			"traces.topology", "slo.ingress", "slo.services", "otel.overview"} {
			u := good(t, name, strings.Repeat("x", 2000))
			u.At, u.Took = at, time.Duration(100+i+round)*time.Millisecond
			u.Reads = snapshot.Reads{Statements: 3, Rows: int64(1_234_567*(i+1) + round), Bytes: int64(98_765_432*(i+1) + 80*round)}
			updates = append(updates, u)
		}
		return r.publish(w, updates...)
	}
	beat := func(w *snapshot.Writer) {
		if err := w.Beat(t.Context(), snapshot.Beat{Slots: 16, Version: "v1.0.0", StartedAt: time.UnixMilli(1_700_000_000_000)}); err != nil {
			t.Fatal(err)
		}
	}
	// The server knows the scripts, and the writers that the other one publishes.
	for _, w := range []*snapshot.Writer{w, second} {
		beat(w)
		publish(w)
	}
	interval := func(w *snapshot.Writer) int {
		return r.sent(func() {
			publish(w)
			for range 10 {
				beat(w)
			}
		})
	}
	if n := interval(w); n > 2000 {
		t.Errorf("the agent that publishes sent %d bytes", n)
	}
	if n := interval(second); n > 2000 {
		t.Errorf("the agent that stands by sent %d bytes", n)
	}
	if p := publish(second); !p.Standby {
		t.Errorf("the second one published %+v", p)
	}
}

// Sections of Kubernetes beside them, in a publish of their own that says only that they
// still hold, do not change that.
func TestUnchangedIntervalWithKubernetesIsSmall(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	w := r.writer(func(c *snapshot.WriterConfig) { c.Instance = "agent-5f6d8c9b7d-x2x4z-0123456789abcdef" })
	followed := names(model.SectionKubeSummary, model.SectionKubeNodes, model.SectionKubePods, model.SectionKubeDeployments,
		model.SectionKubeStatefulSets, model.SectionKubeDaemonSets, model.SectionKubeReplicaSets, model.SectionKubeJobs,
		model.SectionKubeCronJobs, model.SectionKubeServices, model.SectionKubeIngresses, model.SectionKubeNamespaces,
		model.SectionKubeConfigMaps, model.SectionKubeSecrets, model.SectionKubePVs, model.SectionKubePVCs,
		model.SectionKubeResourceQuotas, model.SectionKubeLimitRanges, model.SectionKubeNetworkPolicies,
		model.SectionKubeServiceAccounts, model.SectionKubeEvents)
	interval := func() (bytes, written int) {
		var updates []snapshot.Update
		at := time.Now()
		for i, name := range followed {
			u := snapshot.Update{Name: name, Data: encode(t, strings.Repeat("x", 2000)), At: at, Took: time.Duration(i) * time.Millisecond}
			if name == model.SectionKubeSecrets { // and one that fails says so each time
				u.Data, u.Err = nil, "the agent may not list and watch secrets"
			}
			updates = append(updates, u)
		}
		bytes = r.sent(func() { written = len(r.publish(w, updates...).Written) })
		return bytes, written
	}
	if bytes, written := interval(); written != len(followed)-1 || bytes < 2000*written {
		t.Fatalf("the first publish sent %d sections in %d bytes", written, bytes)
	}
	bytes, written := interval()
	t.Logf("an unchanged interval of %d sections is %d bytes", len(followed), bytes)
	if bytes > 1000 || written > 0 {
		t.Errorf("an unchanged interval sent %d sections in %d bytes", written, bytes)
	}
}

// metaOf is meta without what two publishes of the same differ in.
func (r *rig) metaOf(c key.Cluster) map[string]string {
	r.t.Helper()
	meta := r.admin.HGetAll(r.t.Context(), c.Meta()).Val()
	maps.DeleteFunc(meta, func(field, _ string) bool {
		return field == key.MetaSeq || field == key.MetaAt || strings.HasSuffix(field, ".seq") || strings.HasSuffix(field, ".at")
	})
	return meta
}

// What a writer left out of its publishes, since Redis holds it, is there: after each
// of them Redis holds what one that publishes for the first time writes.
func TestWhatIsNotSentIsThere(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	random := rand.New(rand.NewPCG(1, 2))
	pick := func(list ...time.Duration) time.Duration { return list[random.IntN(len(list))] }
	w := r.writer(func(c *snapshot.WriterConfig) { c.CompressAbove = 1000 })
	var all []snapshot.Update
	for i := range 60 {
		var updates []snapshot.Update
		for _, name := range []model.Section{"a", "b.c", "d-e_f", "metrics.nodes"} {
			if random.IntN(4) == 0 {
				continue
			}
			u := good(t, name, strings.Repeat("x", 900+100*random.IntN(3)))
			u.Took, u.Window = pick(0, time.Second, time.Minute), pick(0, time.Minute)
			u.Interval = pick(0, 10*time.Second, time.Minute)
			if random.IntN(3) == 0 {
				u.Reads = snapshot.Reads{}
			} else {
				u.Reads = snapshot.Reads{Statements: int64(random.IntN(2)), Rows: int64(random.IntN(3)), Bytes: 1<<53 - int64(random.IntN(2))}
			}
			if random.IntN(3) == 0 {
				u.Data, u.Err = nil, fmt.Sprintf("failed; %d, times\r\n%s", random.IntN(2), strings.Repeat("long ", 200*random.IntN(2)))
			}
			updates = append(updates, u)
		}
		r.publish(w, updates...)
		all = append(all, updates...)
		again := key.Cluster(fmt.Sprintf("again-%d", i))
		r.publish(r.writer(func(c *snapshot.WriterConfig) { c.Cluster, c.CompressAbove = again, 1000 }), all...)
		if diff := cmp.Diff(r.metaOf(again), r.metaOf(cluster)); diff != "" {
			t.Fatalf("publish %d: (-all at once +one after the other)\n%s", i, diff)
		}
		values, once := r.admin.HGetAll(t.Context(), cluster.Snapshot()).Val(), r.admin.HGetAll(t.Context(), again.Snapshot()).Val()
		if diff := cmp.Diff(once, values); diff != "" {
			t.Fatalf("publish %d: (-all at once +one after the other)\n%s", i, diff)
		}
	}
}

// More fields and sections than fit into one of a script's calls are published whole.
func TestPublishOfManySections(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	w := r.writer(nil)
	var ok, failed []snapshot.Update
	for i := range 500 {
		u := good(t, model.Section(fmt.Sprintf("s%d", i)), i)
		u.Interval = time.Minute
		ok = append(ok, u)
		failed = append(failed, snapshot.Update{Name: u.Name, Err: "away"})
	}
	for _, updates := range [][]snapshot.Update{ok, failed, ok} {
		r.publish(w, updates...)
	}
	for i, u := range ok {
		s := r.section(u.Name)
		if string(s.Data) != string(u.Data) || s.Meta.Error != "" || s.Meta.Interval != time.Minute || s.Meta.Reads != u.Reads {
			t.Fatalf("section %d is %+v", i, s)
		}
	}
}

// A beat that is only renewed is the one that the agent means, or it is sent again.
func TestBeatsThatAreRenewed(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	w := r.writer(nil)
	leaving := snapshot.Beat{Slots: 16, Busy: 3, Version: "v1", Leaving: true}
	send := func() {
		t.Helper()
		if err := w.Beat(t.Context(), leaving); err != nil {
			t.Fatal(err)
		}
	}
	send()
	old, err := snapshot.Beat{Slots: 16, Interval: 10 * time.Second}.Value(r.clients.Now().Add(-time.Second))
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(){
		"it is there": func() {},
		"emptied":     func() { r.server.FlushAll() },
		"restarted":   func() { r.server.Restart() },
		"behind":      func() { r.do(r.admin.HSet(t.Context(), cluster.Agents(), "a1", old)) },
		"no beat":     func() { r.do(r.admin.HSet(t.Context(), cluster.Agents(), "a1", "x")) },
		"a string":    func() { r.do(r.admin.Set(t.Context(), cluster.Agents(), "x", 0)) },
	} {
		change()
		before, err := r.admin.Time(t.Context()).Result()
		if err != nil {
			t.Fatal(err)
		}
		send()
		info, err := r.reader.Cluster(t.Context(), cluster)
		if err != nil || len(info.Agents) != 1 {
			t.Fatalf("%s: %+v, %v", name, info, err)
		}
		a := info.Agents[0]
		if !a.Leaving || a.Busy != 3 || a.Version != "v1" || a.LastSeen.Before(before.Add(-time.Second)) {
			t.Errorf("%s: %+v", name, a)
		}
		if ttl := r.admin.PTTL(t.Context(), cluster.Agents()).Val(); ttl < key.AgentsTTL-time.Minute {
			t.Errorf("%s: the agents' key lives %v", name, ttl)
		}
	}
}
