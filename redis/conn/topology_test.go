package conn_test

import (
	"cmp"
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/atlhyper/observe/redis/conn"
	"github.com/atlhyper/observe/redis/conn/conntest"
	"github.com/atlhyper/observe/redis/internal/flow"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/redis/redistest"
)

// patience bounds a flow; none that works comes near it.
const patience = 2 * time.Minute

// place is a Redis to talk to.
type place struct {
	url string
	tls conn.TLS
	// patience is how long a Redis that is there may take to answer; 0 means the product's
	// time-outs: with longer ones a test would wait for what is frozen.
	patience time.Duration
}

func (p place) open(t *testing.T, name string) *conn.Clients {
	t.Helper()
	timeout := cmp.Or(p.patience, 3*time.Second)
	return conntest.Open(t, conn.Config{URL: p.url, TLS: p.tls, ClientName: name, Timeout: timeout, DialTimeout: timeout, Logger: logger(t)})
}

func logger(t *testing.T) *slog.Logger {
	t.Helper()
	return slog.New(slog.NewTextHandler(t.Output(), nil))
}

func trust(c *redistest.Certificates) conn.TLS {
	return conn.TLS{CAFile: c.CAFile, CertFile: c.ClientCertFile, KeyFile: c.ClientKeyFile, ServerName: redistest.ServerName}
}

// places is the table of topologies.
func places() map[string]func(*testing.T) place {
	return map[string]func(*testing.T) place{
		"single": func(t *testing.T) place {
			t.Helper()
			return place{url: redistest.Start(t).URL()}
		},
		"tls": func(t *testing.T) place {
			t.Helper()
			certs := redistest.NewCertificates(t)
			return place{url: redistest.Start(t, redistest.WithTLS(certs)).URL(), tls: trust(certs)}
		},
		"sentinel": func(t *testing.T) place {
			t.Helper()
			return place{url: redistest.StartSentinels(t).URL()}
		},
		"sentinel tls": func(t *testing.T) place {
			t.Helper()
			certs := redistest.NewCertificates(t)
			return place{url: redistest.StartSentinels(t, redistest.WithTLS(certs)).URL(), tls: trust(certs)}
		},
		"cluster": func(t *testing.T) place {
			t.Helper()
			return place{url: redistest.StartCluster(t).URL()}
		},
		"cluster tls": func(t *testing.T) place {
			t.Helper()
			certs := redistest.NewCertificates(t)
			return place{url: redistest.StartCluster(t, redistest.WithTLS(certs)).URL(), tls: trust(certs)}
		},
	}
}

// Everything that agents and masters do works on every topology.
func TestTopologies(t *testing.T) {
	t.Parallel()
	for name, start := range places() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := start(t)
			p.patience = patience
			// Several clusters, so that in Redis Cluster each shard has some.
			for _, cluster := range []key.Cluster{"east", "west", "north", "south"} {
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				err := flow.Run(ctx, flow.Config{
					Cluster: cluster, Admin: p.open(t, "admin").Normal,
					Agent: p.open(t, "agent"), Master: p.open(t, "master"), Logger: logger(t),
				})
				cancel()
				if err != nil {
					t.Errorf("%s: %v", cluster, err)
				}
			}
		})
	}
}
