package bus_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/atlhyper/observe/redis/bus"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/redis/redistest"
	"github.com/atlhyper/observe/redis/snapshot"
	"github.com/atlhyper/observe/shared/fault"
)

// A cluster whose agent hangs fills its own share of a replica's waiters; the
// others go on.
func TestASlowClusterTakesNothingFromTheOthers(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	const west = key.Cluster("west")
	r.beats("a1") // of east: it lives, and takes nothing
	w, err := snapshot.NewWriter(r.open("beat"), snapshot.WriterConfig{Cluster: west, Instance: "w1"})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Beat(t.Context(), snapshot.Beat{}); err != nil {
		t.Fatal(err)
	}
	r.run(func(ctx context.Context) error { return beatUntil(ctx, w) })
	s, err := bus.NewServer(r.open("agent"), bus.ServerConfig{Cluster: west, Instance: "w1", Handle: echo})
	if err != nil {
		t.Fatal(err)
	}
	r.run(s.Run)
	client := r.client(bus.ClientConfig{MaxWaiters: 8, MaxClusterWaiters: 3})
	ctx, hangUp := context.WithCancel(t.Context())
	done := make(chan error, 3)
	for i := range 3 {
		go func() {
			_, err := client.Do(ctx, cluster, echoRequest(t, i))
			done <- err
		}()
	}
	redistest.Eventually(t, "three wait", func() bool { return client.Stats().Pushed == 3 })
	_, err = client.Do(t.Context(), cluster, echoRequest(t, 4))
	wantCode(t, err, fault.QueueFull)
	if e := fault.From(err); e.RetryAfter <= 0 || !strings.Contains(e.Message, "east") {
		t.Errorf("queue_full of a cluster's waiters = %+v, want the cluster and a time to retry", e)
	}
	if _, err := client.Do(t.Context(), west, echoRequest(t, 5)); err != nil {
		t.Errorf("another cluster: %v", err)
	}
	hangUp()
	for range 3 {
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
	redistest.Eventually(t, "nobody waits", func() bool { return client.Waiting() == 0 })
	if s := client.Stats(); s.FullCluster != 1 || s.FullReplica != 0 || s.Canceled != 3 || s.Pushed != s.Answered+s.Canceled {
		t.Errorf("stats = %+v", s)
	}
}

// Replies together may be longer than what is fetched at a time; one that is over
// its own bound is not fetched at all.
func TestBytesInFlightAreBounded(t *testing.T) {
	t.Parallel()
	const replies, length = 20, 200 << 10
	r := newRig(t)
	agent := r.idle(bus.ServerConfig{Slots: replies, Handle: func(_ context.Context, cmd bus.Command) bus.Reply {
		return bus.Reply{Data: encode(t, strings.Repeat("x", decode[int](t, cmd.Params)))}
	}})
	client := r.client(bus.ClientConfig{MaxReplyBytes: 300 << 10, MaxFetchBytes: 300 << 10})
	errs := make(chan error, replies)
	for range replies {
		go func() {
			reply, err := client.Do(t.Context(), cluster, echoRequest(t, length))
			if err == nil && len(decode[string](t, reply.Data)) != length {
				err = errors.New("the reply has another length")
			}
			errs <- err
		}()
	}
	redistest.Eventually(t, "all are in the list", func() bool { return client.Stats().Pushed == replies })
	r.run(agent.Run)
	for range replies {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	read := client.Stats().ReplyBytes
	if read < replies*length || read > replies*(length+1000) {
		t.Errorf("%d bytes were read of %d replies of %d", read, replies, length)
	}
	_, err := client.Do(t.Context(), cluster, echoRequest(t, 2<<20))
	wantCode(t, err, fault.ResultTooLarge)
	if !strings.Contains(fault.From(err).Message, "shorter time range") {
		t.Errorf("the message does not say how to narrow it: %v", err)
	}
	redistest.Eventually(t, "nothing is on its way", func() bool { return client.Stats().FetchBytes == 0 })
	s := client.Stats()
	if s.ReplyBytes != read || s.TooLarge != 1 {
		t.Errorf("after a reply over the bound: %+v, had read %d bytes", s, read)
	}
}

// Redis runs out of memory while a query runs: its reply is delivered all the same,
// further requests are refused at once.
func TestOutOfMemory(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	entered, goOn := make(chan struct{}), make(chan struct{})
	_, _ = r.agent(bus.ServerConfig{Handle: func(ctx context.Context, cmd bus.Command) bus.Reply {
		close(entered)
		<-goOn
		return echo(ctx, cmd)
	}})
	client := r.client(bus.ClientConfig{})
	done := make(chan error, 1)
	go func() {
		_, err := client.Do(t.Context(), cluster, echoRequest(t, 1))
		done <- err
	}()
	<-entered
	r.do(r.admin.ConfigSet(t.Context(), "maxmemory", "1"))
	_, err := client.Do(t.Context(), cluster, echoRequest(t, 2))
	wantCode(t, err, fault.StoreUnavailable)
	close(goOn)
	if err := <-done; err != nil {
		t.Errorf("what ran before: %v", err)
	}
	if left := r.list(cluster.Claimed("a1")); len(left) > 0 {
		t.Errorf("%d commands are still claimed", len(left))
	}
	r.do(r.admin.ConfigSet(t.Context(), "maxmemory", "0"))
}

// What both ends count has names that Prometheus's linter likes, and adds up.
func TestMetrics(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	registry := prometheus.NewPedanticRegistry()
	agent, _ := r.agent(bus.ServerConfig{Handle: echo, Metrics: registry})
	client := r.client(bus.ClientConfig{Metrics: registry})
	for i := range 10 {
		if _, err := client.Do(t.Context(), cluster, echoRequest(t, i)); err != nil {
			t.Fatal(err)
		}
	}
	_, err := client.Do(t.Context(), "nobody", echoRequest(t, 1))
	wantCode(t, err, fault.ClusterUnknown)
	_, err = client.Do(t.Context(), cluster, echoRequest(t, strings.Repeat("x", bus.MaxCommandBytes)))
	wantCode(t, err, fault.BadRequest)
	redistest.Eventually(t, "all are counted", func() bool { return agent.Stats().Answered == 10 })
	problems, err := testutil.GatherAndLint(registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	want := strings.NewReader(`
# HELP atlhyper_agent_commands_claimed_total Commands that were started or refused.
# TYPE atlhyper_agent_commands_claimed_total counter
atlhyper_agent_commands_claimed_total 10
# HELP atlhyper_master_commands_pushed_total Commands that went into a cluster's list.
# TYPE atlhyper_master_commands_pushed_total counter
atlhyper_master_commands_pushed_total 10
# HELP atlhyper_master_requests_not_pushed_total Detail requests for which no command was pushed, by why.
# TYPE atlhyper_master_requests_not_pushed_total counter
atlhyper_master_requests_not_pushed_total{reason="offline"} 1
atlhyper_master_requests_not_pushed_total{reason="shared"} 0
atlhyper_master_requests_not_pushed_total{reason="store_unavailable"} 0
atlhyper_master_requests_not_pushed_total{reason="too_long"} 1
`)
	if err := testutil.GatherAndCompare(registry, want, "atlhyper_agent_commands_claimed_total",
		"atlhyper_master_commands_pushed_total", "atlhyper_master_requests_not_pushed_total"); err != nil {
		t.Error(err)
	}
	if _, err := bus.NewClient(r.open("master"), bus.ClientConfig{Replica: "m2", Metrics: registry}); err == nil {
		t.Error("a second client registers the same metrics without an error")
	}
}
