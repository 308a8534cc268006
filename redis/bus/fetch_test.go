package bus

import (
	"testing"
	"time"

	"github.com/atlhyper/observe/redis/conn"
	"github.com/atlhyper/observe/redis/conn/conntest"
	"github.com/atlhyper/observe/redis/redistest"
	"github.com/atlhyper/observe/shared/codec"
)

// A sweep looks for a reply a moment before it is there; its announcement, which
// comes while the sweep still waits for Redis, must not be lost to it.
func TestAnnouncedWhileASweepLooks(t *testing.T) {
	server := redistest.Start(t)
	clients := conntest.Open(t, conn.Config{URL: server.URL()})
	client, err := NewClient(clients, ClientConfig{Replica: "m1"})
	if err != nil {
		t.Fatal(err)
	}
	f := client.fetcher
	a, err := client.newAsk(t.Context(), "c1", Request{Kind: "node", Timeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.add(a); err != nil {
		t.Fatal(err)
	}

	if !a.fetching.CompareAndSwap(false, true) { // as the sweep does
		t.Fatal("it is looked for already")
	}
	reply, err := codec.Encode(Reply{V: Version, ID: a.id})
	if err != nil {
		t.Fatal(err)
	}
	if err := clients.Normal.RPush(t.Context(), a.cluster.Reply(a.id), reply).Err(); err != nil {
		t.Fatal(err)
	}
	f.announce(t.Context(), a.cluster, a.id)
	if _, err := f.fetch(t.Context(), []*ask{<-f.there}, false); err != nil {
		t.Fatal(err)
	}
	f.done(a) // the sweep found nothing

	select {
	case again := <-f.there:
		if _, err := f.fetch(t.Context(), []*ask{again}, false); err != nil {
			t.Fatal(err)
		}
	default:
		t.Fatal("nobody looks for the reply before the next sweep")
	}
	select {
	case got := <-a.got:
		if got.err != nil {
			t.Error(got.err)
		}
	default:
		t.Error("the reply was not delivered")
	}
	if len(f.there) != 0 {
		t.Error("it is looked for once more, though it was delivered")
	}
}
