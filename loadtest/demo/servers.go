package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/atlhyper/observe/loadtest/balance"
	"github.com/atlhyper/observe/loadtest/proc"
	"github.com/atlhyper/observe/redis/conn"
	"github.com/atlhyper/observe/redis/snapshot"
)

// startRedis starts a redis-server that keeps nothing on disk, or, where there
// is none, the embedded stand-in.
func (d *demo) startRedis(ctx context.Context) error {
	if d.cfg.Redis != "" {
		d.say("Redis: the server of --redis")
		return d.tidyRedis()
	}
	address := d.cfg.address(offsetRedis)
	path, err := exec.LookPath("redis-server")
	if err != nil {
		d.say("Redis: no redis-server here, an embedded stand-in on %s", address)
		return d.startMiniredis(ctx, address)
	}
	dir := filepath.Join(d.dir, "redis")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return fmt.Errorf("redis: %w", err)
	}
	d.say("Redis: %s on %s", path, address)
	log := filepath.Join(dir, "redis.log") // its warnings are about machines that keep data
	err = d.server(proc.Spec{Name: "redis", Path: path, Args: []string{
		"--bind", host, "--port", strconv.Itoa(d.cfg.Port + offsetRedis),
		"--save", "", "--appendonly", "no", "--dir", dir, "--logfile", log,
	}}, log)
	if err != nil {
		return err
	}
	return d.poll(ctx, "redis", func(ctx context.Context) error {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		if err != nil {
			return err
		}
		return conn.Close()
	})
}

// tidyRedis leaves nothing of the demo's clusters on a server of the user's.
func (d *demo) tidyRedis() error {
	clients, err := conn.Open(conn.Config{URL: d.cfg.Redis, Logger: d.cfg.Logger})
	if err != nil {
		return err
	}
	d.onStop(func() {
		ctx, cancel := context.WithTimeout(context.Background(), cleanUpTimeout)
		defer cancel()
		for _, c := range d.cfg.clusters() {
			d.warn(c, snapshot.Erase(ctx, clients, c.id))
		}
		if err := clients.Close(); err != nil {
			d.cfg.Logger.Warn("clean-up failed", "error", err)
		}
	})
	return nil
}

// startMiniredis also moves its clock: keys in miniredis expire only when told.
func (d *demo) startMiniredis(_ context.Context, address string) error {
	server := miniredis.NewMiniRedis()
	if err := server.StartAddr(address); err != nil {
		return fmt.Errorf("embedded redis: %w", err)
	}
	d.onStop(server.Close)
	d.embeddedRedis = true
	d.background("embedded redis", func(ctx context.Context) error {
		ticker := time.NewTicker(time.Second)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-ticker.C:
				server.FastForward(time.Second)
			}
		}
	})
	return nil
}

// masterCount is how many replicas stand behind the balancer.
const masterCount = 2

func (d *demo) startMasters(ctx context.Context) error {
	for i := range masterCount {
		d.replica(proc.Spec{
			Name: fmt.Sprintf("master-%d", i+1),
			Path: d.binary("master"),
			Args: []string{
				"--listen", d.cfg.address(offsetMasters + i),
				"--redis", d.cfg.redisURL(),
				"--log-level", d.logLevel(), "--admin-listen", "off", "--audit-log", "off",
			},
		})
	}
	for i := range masterCount {
		if err := d.poll(ctx, "master", d.get(offsetMasters+i, "/readyz", nil)); err != nil {
			return err
		}
	}
	return nil
}

func (d *demo) startBalancer(ctx context.Context) error {
	var backends []*url.URL
	for i := range masterCount {
		backends = append(backends, &url.URL{Scheme: "http", Host: d.cfg.address(offsetMasters + i)})
	}
	b, err := balance.New(balance.Config{Listen: d.cfg.address(0), Backends: backends, Logger: d.cfg.Logger})
	if err != nil {
		return err
	}
	d.background("balancer", b.Run)
	return d.poll(ctx, "balancer", d.get(0, "/healthz", nil))
}

// pollEvery is how often poll tries.
const pollEvery = 50 * time.Millisecond

// patience is how long poll tries: far more than anything takes that works.
const patience = 2 * time.Minute

// poll tries until it works, ctx is done, a part breaks, or patience runs out.
func (d *demo) poll(ctx context.Context, name string, try func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	for {
		err := try(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s does not answer: %w", name, errors.Join(ctx.Err(), err))
		case broken := <-d.broken:
			return broken
		case <-ticker.C:
		}
	}
}

// maxAnswer bounds what get reads.
const maxAnswer = 16 << 20

// get asks one of our servers and hands the body of a 200 to check.
func (d *demo) get(offset int, path string, check func(body []byte) error) func(context.Context) error {
	address := "http://" + d.cfg.address(offset) + path
	return func(ctx context.Context) (err error) {
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
		if err != nil {
			return err
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, res.Body.Close()) }()
		body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
		if err != nil {
			return err
		}
		if res.StatusCode != http.StatusOK {
			return fmt.Errorf("%s answers %s: %.200s", path, res.Status, body)
		}
		if check == nil {
			return nil
		}
		return check(body)
	}
}
