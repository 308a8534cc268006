package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/atlhyper/observe/cmd/internal/redisflags"
	"github.com/atlhyper/observe/redis/conn"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/redis/snapshot"
)

// forgetCmd takes Redis from the environment, as masters do: it needs their rights.
type forgetCmd struct {
	redisflags.Conn

	Cluster string `arg:"" help:"The cluster's id."`
}

// forgetTimeout bounds all of it.
const forgetTimeout = time.Minute

// Run removes the cluster, unless an agent of it lives, which would write it again.
func (c *forgetCmd) Run(ctx context.Context) error { return c.forget(ctx, os.Stdout) }

func (c *forgetCmd) forget(ctx context.Context, out io.Writer) (err error) {
	if err := key.ValidateCluster(c.Cluster); err != nil {
		return fmt.Errorf("forget: %w", err)
	}
	clients, err := conn.Open(conn.Config{URL: c.Redis, Auth: c.Auth(), TLS: c.TLS(), ClientName: "atlhyper-forget"})
	if err != nil {
		return fmt.Errorf("forget: %w", err)
	}
	defer func() { err = errors.Join(err, clients.Close()) }()
	ctx, cancel := context.WithTimeout(ctx, forgetTimeout)
	defer cancel()
	cluster := key.Cluster(c.Cluster)
	info, err := snapshot.NewReader(clients, snapshot.ReaderConfig{}).Cluster(ctx, cluster)
	if err != nil {
		return fmt.Errorf("forget: %w", err)
	}
	for _, a := range info.Agents {
		if a.Live {
			return fmt.Errorf("forget: agent %s of cluster %s is online; stop it first, or the cluster is back at once", a.Instance, cluster)
		}
	}
	if err := snapshot.Forget(ctx, clients, cluster); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(out, "Cluster %s is forgotten.\n", cluster); err != nil {
		return fmt.Errorf("forget: print: %w", err)
	}
	return nil
}
