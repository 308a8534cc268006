package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// welcome says where everything is and what to try.
func (d *demo) welcome(ctx context.Context) {
	clusters := d.cfg.clusters()
	first := clusters[0]
	base := "http://" + d.cfg.address(0)
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }

	line("")
	line("AtlHyper Observe runs. Ctrl-C stops everything and leaves nothing behind.")
	line("")
	line("  API (balancer)   %s/api/v2", base)
	for i := range masterCount {
		line("  master-%d         http://%s", i+1, d.cfg.address(offsetMasters+i))
	}
	if d.cfg.Redis == "" {
		line("  Redis            %s", d.cfg.redisURL())
	}
	for _, c := range clusters {
		if c.engine != 0 {
			line("  %-16s ClickHouse http://%s, database %s", c.id, d.cfg.address(c.engine), c.database)
		} else {
			line("  %-16s the ClickHouse of --clickhouse", c.id)
		}
		switch {
		case c.kubernetes != 0:
			line("  %-16s simulated Kubernetes API http://%s", "", d.cfg.address(c.kubernetes))
		case c.kubeconfig != "":
			line("  %-16s the Kubernetes API of --kubeconfig", "")
		default:
			line("  %-16s no Kubernetes API; --kubeconfig names one", "")
		}
	}
	line("")
	line("Try:")
	line("  curl -s '%s/api/v2/clusters'", base)
	line("  curl -s '%s%s'", base, kubernetesPath("overview", first))
	if first.kubernetes != 0 || first.kubeconfig != "" {
		line("  curl -s '%s%s&sort=-restarts&limit=5'", base, kubernetesPath("pods", first))
	}
	line("  curl -s '%s%s'", base, observePath("metrics/nodes", first))
	line("  curl -s '%s%s'", base, d.exampleTrace(ctx, first))
	if d.cfg.Redis == "" && !d.embeddedRedis { // the stand-in has no cmsgpack
		line("  redis-cli -p %d EVAL \"return cjson.encode(cmsgpack.unpack(redis.call('HGET',KEYS[1],ARGV[1])))\" 1 'atlhyper:{%s}:snapshot' metrics.summary", d.cfg.Port+offsetRedis, first.id)
	}
	line("  kill -9 a master's process (above): no request fails, and it comes back")
	d.say("%s", b.String())
}

// exampleTimeout bounds the search for an example, which is not worth a longer wait.
const exampleTimeout = 30 * time.Second

// exampleTrace is the path of a trace that is there now, or of the search where
// none is found.
func (d *demo) exampleTrace(ctx context.Context, c cluster) string {
	search := observePath("traces", c) + "&has_error=true&limit=1"
	path := search
	// On a machine that is busy with others, what has just started may need another try.
	ctx, cancel := context.WithTimeout(ctx, exampleTimeout)
	defer cancel()
	err := d.poll(ctx, "the search for an example", d.get(0, search, func(body []byte) error {
		var answer struct {
			Data []struct {
				TraceID string `json:"traceId"`
			} `json:"data"`
		}
		if err := json.Unmarshal(body, &answer); err != nil {
			return err
		}
		if len(answer.Data) > 0 {
			path = observePath("traces/"+answer.Data[0].TraceID, c)
		}
		return nil
	}))
	if err != nil {
		d.cfg.Logger.Warn("no example trace", "error", err)
	}
	return path
}
