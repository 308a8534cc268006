package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/atlhyper/observe/loadtest/proc"
	"github.com/atlhyper/observe/loadtest/telemetry"
)

// startCluster brings up one cluster: engine, telemetry, Kubernetes API, agent. The agent comes
// last so that its first collection finds everything.
func (d *demo) startCluster(ctx context.Context, c cluster) error {
	if c.engine != 0 {
		if err := d.startEngine(ctx, c); err != nil {
			return err
		}
	}
	if c.fill {
		if err := d.startTelemetry(ctx, c); err != nil {
			return err
		}
	}
	if c.kubernetes != 0 {
		var err error
		if c.kubeconfig, err = d.startKubernetes(ctx, c); err != nil {
			return err
		}
	}
	d.startAgent(c)
	return nil
}

func (d *demo) startEngine(ctx context.Context, c cluster) error {
	name := "clickhouse-" + string(c.id)
	d.say("%s: embedded ClickHouse engine on %s", c.id, d.cfg.address(c.engine))
	d.replica(proc.Spec{Name: name, Path: d.binary("chdb"), Args: []string{
		"serve", "--listen", d.cfg.address(c.engine), "--database", c.database,
		"--data", filepath.Join(d.dir, string(c.id)),
	}})
	return d.poll(ctx, name, d.get(c.engine, "/ping", nil))
}

// backfill is the history at the start: a little more than the longest window of
// the dashboards.
const backfill = 20 * time.Minute

// startTelemetry creates the tables, writes the backfill and keeps rows flowing.
func (d *demo) startTelemetry(ctx context.Context, c cluster) error {
	conn, err := telemetry.Open(c.dsn)
	if err != nil {
		return err
	}
	d.onStop(func() { d.warn(c, conn.Close()) })
	if c.own {
		d.onStop(func() { d.warn(c, dropDatabase(conn, c.database)) })
	}
	if err := telemetry.CreateTables(ctx, conn, c.database); err != nil {
		return fmt.Errorf("%s: %w", c.id, err)
	}
	replayer, err := telemetry.NewReplayer(telemetry.Config{
		Conn: conn, Database: c.database, Logger: d.cfg.Logger, Capture: d.capture, Backfill: backfill,
		Variant: telemetry.ClusterVariant(c.variant),
	})
	if err != nil {
		return fmt.Errorf("%s: %w", c.id, err)
	}
	d.say("%s: writing the last %s of captured telemetry, then as it comes", c.id, backfill)
	d.background("telemetry of "+string(c.id), replayer.Run)
	select {
	case <-replayer.Ready():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case err := <-d.broken:
		return err
	}
}

// cleanUpTimeout bounds the clean-up on servers of the user's.
const cleanUpTimeout = 10 * time.Second

func dropDatabase(conn driver.Conn, database string) error {
	ctx, cancel := context.WithTimeout(context.Background(), cleanUpTimeout)
	defer cancel()
	return conn.Exec(ctx, "DROP DATABASE IF EXISTS "+database)
}

func (d *demo) warn(c cluster, err error) {
	if err != nil {
		d.cfg.Logger.Warn("clean-up failed", "cluster", c.id, "error", err)
	}
}

func (d *demo) startAgent(c cluster) {
	args := []string{
		"--cluster-id", string(c.id), "--instance", string(c.id) + "-agent",
		"--clickhouse", c.dsn, "--redis", d.cfg.redisURL(),
		"--interval", d.cfg.Interval.String(), "--log-level", d.logLevel(), "--admin-listen", "off",
	}
	if c.kubeconfig != "" {
		args = append(args, "--kubernetes", "on", "--kubeconfig", c.kubeconfig)
	} else {
		args = append(args, "--kubernetes", "off")
	}
	if c.database != "" {
		args = append(args, "--database", c.database)
	}
	d.replica(proc.Spec{Name: "agent-" + string(c.id), Path: d.binary("agent"), Args: args})
}

// awaitAnswers waits until the balancer answers for the cluster: with telemetry and
// Kubernetes objects where they are ours; otherwise we don't know what there is.
func (d *demo) awaitAnswers(ctx context.Context, c cluster) error {
	if !c.fill {
		return d.poll(ctx, string(c.id), d.get(0, "/api/v2/clusters/"+string(c.id), nil))
	}
	if err := d.poll(ctx, string(c.id)+" pods", d.get(0, kubernetesPath("pods", c), notEmpty)); err != nil {
		return err
	}
	for _, section := range []string{"metrics/nodes", "traces/services", "slo/ingress", "slo/edges"} {
		if err := d.poll(ctx, string(c.id)+" "+section, d.get(0, observePath(section, c), notEmpty)); err != nil {
			return err
		}
	}
	return nil
}

func notEmpty(body []byte) error {
	var answer struct {
		Data []json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return err
	}
	if len(answer.Data) == 0 {
		return errors.New("the answer is empty")
	}
	return nil
}

func kubernetesPath(path string, c cluster) string {
	return "/api/v2/" + path + "?cluster_id=" + string(c.id)
}

func observePath(path string, c cluster) string {
	return "/api/v2/observe/" + path + "?cluster_id=" + string(c.id)
}
