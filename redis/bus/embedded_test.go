package bus_test

import (
	"context"
	"testing"

	"github.com/alicebob/miniredis/v2"

	"github.com/atlhyper/observe/redis/bus"
	"github.com/atlhyper/observe/redis/conn"
	"github.com/atlhyper/observe/redis/conn/conntest"
	"github.com/atlhyper/observe/redis/redistest"
	"github.com/atlhyper/observe/redis/snapshot"
)

// The demo falls back to the embedded miniredis where there is no redis-server:
// every script and command works there too.
func TestOnEmbeddedRedis(t *testing.T) {
	t.Parallel()
	server := miniredis.RunT(t)
	clients := conntest.Open(t, conn.Config{URL: "redis://" + server.Addr()})
	r := &rig{t: t}
	w, err := snapshot.NewWriter(clients, snapshot.WriterConfig{Cluster: cluster, Instance: "a1"})
	if err != nil {
		t.Fatal(err)
	}
	reader := snapshot.NewReader(clients, snapshot.ReaderConfig{})
	r.run(reader.Gather)
	if err := w.Beat(t.Context(), snapshot.Beat{Slots: 4}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := w.Publish(t.Context(), []snapshot.Update{{Name: "a", Data: encode(t, 1)}}); err != nil {
			t.Fatal(err)
		}
		if s, err := reader.Section(t.Context(), cluster, "a"); err != nil || string(s.Data) != string(encode(t, 1)) {
			t.Fatalf("section = %x, %v", s.Data, err)
		}
		server.FlushAll()
		if err := w.Beat(t.Context(), snapshot.Beat{Slots: 4}); err != nil {
			t.Fatal(err)
		}
	}
	r.run(func(ctx context.Context) error { return beatUntil(ctx, w) })
	s, err := bus.NewServer(clients, bus.ServerConfig{Cluster: cluster, Instance: "a1", Handle: echo})
	if err != nil {
		t.Fatal(err)
	}
	stop := r.run(s.Run)
	client, err := bus.NewClient(clients, bus.ClientConfig{Replica: "m1"})
	if err != nil {
		t.Fatal(err)
	}
	r.run(client.Run)
	for i := range 50 {
		reply, err := client.Do(t.Context(), cluster, echoRequest(t, i))
		if err != nil || decode[int](t, reply.Data) != i {
			t.Fatalf("reply = %+v, %v", reply, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := client.Do(ctx, cluster, echoRequest(t, 1)); err == nil {
		t.Error("a cancelled request was answered")
	}
	redistest.Eventually(t, "the cluster is listed", func() bool {
		if _, err := w.Publish(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		infos, err := reader.Clusters(t.Context())
		return err == nil && len(infos) == 1
	})
	if err := stop(); err != nil {
		t.Error(err)
	}
	if err := w.Leave(t.Context()); err != nil {
		t.Error(err)
	}
}
