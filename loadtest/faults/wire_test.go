package faults

import (
	"context"
	"fmt"
	"strings"
	"testing"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
)

// wire is the network between agents and Redis, or ClickHouse.
type wire struct {
	t     testing.TB
	proxy *toxiproxy.Proxy
}

// newWire listens on a port of its own and forwards to target until the test ends.
func newWire(tb testing.TB, target string) *wire {
	tb.Helper()
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	w := &wire{t: tb, proxy: toxiproxy.NewProxy(server, tb.Name(), freeAddress(tb), target)}
	w.mend()
	tb.Cleanup(w.cut)
	return w
}

func (w *wire) addr() string { return w.proxy.Listen }

// cut closes all connections and refuses further ones; mend ends that.
func (w *wire) cut() { w.proxy.Stop() }

func (w *wire) mend() {
	w.t.Helper()
	if err := w.proxy.Start(); err != nil {
		w.t.Fatalf("wire: %v", err)
	}
}

// toxic is something that is wrong with a wire, as toxiproxy names it.
type toxic struct {
	kind       string
	stream     string // upstream: to the server; downstream: from it
	share      float64
	attributes string // JSON
}

// poison adds toxics; clean removes all of them.
func (w *wire) poison(toxics ...toxic) {
	w.t.Helper()
	for _, x := range toxics {
		text := fmt.Sprintf(`{"name":"%s-%s","type":%[1]q,"stream":%[2]q,"toxicity":%[3]g,"attributes":%[4]s}`, x.kind, x.stream, x.share, x.attributes)
		if _, err := w.proxy.Toxics.AddToxicJson(strings.NewReader(text)); err != nil {
			w.t.Fatalf("wire: %s: %v", text, err)
		}
	}
}

func (w *wire) clean() { w.proxy.Toxics.ResetToxics(context.Background()) }
