package demo

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/atlhyper/observe/loadtest/kubesim"
	"github.com/atlhyper/observe/loadtest/kubesim/world"
)

// startKubernetes simulates the cluster's API server with what is in it, and returns
// the kubeconfig file for it.
func (d *demo) startKubernetes(ctx context.Context, c cluster) (kubeconfig string, err error) {
	address := d.cfg.address(c.kubernetes)
	d.say("%s: simulated Kubernetes API on %s", c.id, address)
	objects, err := world.New(world.Config{Name: string(c.id), Number: c.variant, Start: time.Now()})
	if err != nil {
		return "", err
	}
	server, err := kubesim.New(kubesim.Config{Listen: address, Logger: d.cfg.Logger})
	if err != nil {
		return "", err
	}
	ready := make(chan struct{})
	d.background("objects of "+string(c.id), func(ctx context.Context) error { return objects.Run(ctx, server, time.Now, ready) })
	d.background("Kubernetes API of "+string(c.id), server.Run)
	select {
	case <-ready: // so that an agent never sees half a cluster
	case <-ctx.Done():
		return "", ctx.Err()
	case err := <-d.broken:
		return "", err
	}
	kubeconfig = filepath.Join(d.dir, string(c.id)+".kubeconfig")
	if err := os.WriteFile(kubeconfig, kubesim.Kubeconfig(address), 0o600); err != nil {
		return "", fmt.Errorf("%s: %w", c.id, err)
	}
	return kubeconfig, d.poll(ctx, string(c.id)+" Kubernetes", d.get(c.kubernetes, "/api/v1/nodes", nil))
}
