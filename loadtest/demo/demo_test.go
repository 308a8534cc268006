package demo_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/atlhyper/observe/loadtest/chdb/chdbtest"
	"github.com/atlhyper/observe/loadtest/demo"
	"github.com/atlhyper/observe/redis/redistest"
)

// binaries builds what the demo runs.
func binaries(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"agent", "master", "chdb"} {
		out, err := exec.CommandContext(t.Context(), "go", "build", "-o", dir, "github.com/atlhyper/observe/cmd/"+name).CombinedOutput()
		if err != nil {
			t.Fatalf("build %s: %v\n%s", name, err, out)
		}
	}
	return dir
}

// freePorts finds a port that is free like the seven after it.
func freePorts(t *testing.T) int {
	t.Helper()
	for port := 21000; port < 40000; port += 10 {
		if free(t, port) {
			return port
		}
	}
	t.Fatal("no eight free ports in a row")
	return 0
}

func free(t *testing.T, first int) bool {
	t.Helper()
	for port := first; port < first+8; port++ {
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			return false
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return true
}

// running is a demo and what it says.
type running struct {
	port  int
	lines chan string
	ended chan error
	stop  context.CancelFunc
}

func run(t *testing.T, cfg demo.Config) *running {
	t.Helper()
	r, w := io.Pipe()
	d := &running{port: cfg.Port, lines: make(chan string, 10_000), ended: make(chan error, 1)}
	go func() {
		defer close(d.lines)
		lines := bufio.NewScanner(r)
		for lines.Scan() {
			t.Log(lines.Text())
			d.lines <- lines.Text()
		}
	}()
	cfg.Output, cfg.Logger = w, slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelWarn}))
	ctx, cancel := context.WithCancel(context.Background())
	d.stop = cancel
	go func() {
		d.ended <- demo.Run(ctx, cfg)
		w.Close()
	}()
	t.Cleanup(func() { // nothing is logged after the test
		cancel()
		for range d.lines {
			continue
		}
	})
	return d
}

// await returns the first line from now on that matches.
func (d *running) await(t *testing.T, pattern string) []string {
	t.Helper()
	expr := regexp.MustCompile(pattern)
	for {
		select {
		case line, open := <-d.lines:
			if !open {
				t.Fatalf("the demo ended without saying %q: %v", pattern, <-d.ended)
			}
			if found := expr.FindStringSubmatch(line); found != nil {
				return found
			}
		case <-t.Context().Done():
			t.Fatalf("the test ended before the demo said %q", pattern)
		}
	}
}

func (d *running) url(path string) string {
	return fmt.Sprintf("http://127.0.0.1:%d/api/v2%s", d.port, path)
}

// ask is one request of the load: an error is any answer but 200.
func ask(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	body, err := io.ReadAll(res.Body)
	if err := errors.Join(err, res.Body.Close()); err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s: %s", url, res.Status, body)
	}
	return nil
}

// The main job as a newcomer sees it: it comes up with both clusters, killing a
// master fails no request, and afterwards nothing is left.
func TestDemo(t *testing.T) {
	if testing.Short() {
		t.Skip("starts seven processes")
	}
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	t.Setenv("ATLHYPER_REDIS", "redis://127.0.0.1:1") // meant for others: the demo's children must not see it
	t.Setenv("ATLHYPER_DATABASE", "nowhere")
	t.Setenv("ATLHYPER_SLOTS", "0")
	d := run(t, demo.Config{Port: freePorts(t), BinDir: binaries(t), Interval: 2 * time.Second})
	pids := make(map[string]string)
	for {
		found := d.await(t, `demo: (\S+) runs as process (\d+)|AtlHyper (Observe) runs`)
		if found[3] != "" {
			break
		}
		pids[found[1]] = found[2]
	}
	pid, err := strconv.Atoi(pids["master-1"])
	if err != nil {
		t.Fatal(err)
	}
	line := d.await(t, `curl -s '(.*/traces/[0-9a-f]{32}\?.*)'`)[1]
	if err := ask(t.Context(), line); err != nil {
		t.Errorf("the line to try does not work: %v", err)
	}

	d.checkKubernetes(t)
	load, endLoad := context.WithCancel(t.Context())
	defer endLoad()
	var asked atomic.Int64
	var workers sync.WaitGroup
	for _, path := range []string{
		"/clusters",
		"/observe/metrics/nodes?cluster_id=demo-east",
		"/observe/slo/ingress?cluster_id=demo-west",
		"/observe/metrics/nodes/10.0.1.11?cluster_id=demo-east",
		"/overview?cluster_id=demo-east",
		"/pods?cluster_id=demo-west&sort=-restarts",
	} {
		workers.Go(func() {
			for load.Err() == nil {
				if err := ask(context.WithoutCancel(load), d.url(path)); err != nil {
					t.Error(err)
					return
				}
				asked.Add(1)
			}
		})
	}
	awaitCount(t, &asked, 100)
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	awaitCount(t, &asked, 100)
	d.await(t, "master-1 runs as process") // it is started again
	awaitCount(t, &asked, 100)
	endLoad()
	workers.Wait()

	// An engine that dies comes back with its data; its cluster stays known.
	engine, err := strconv.Atoi(pids["clickhouse-demo-east"])
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(engine, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	d.await(t, "clickhouse-demo-east runs as process")
	d.eventually(t, "/observe/metrics/nodes/10.0.1.11?cluster_id=demo-east")

	d.stop()
	if err := <-d.ended; err != nil {
		t.Errorf("the demo ended with %v", err)
	}
	if !free(t, d.port) {
		t.Error("a port is still taken")
	}
	left, err := filepath.Glob(filepath.Join(temp, "*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

// On servers of the user's: both clusters are written there and nothing of them is
// left; without Fill nothing is written at all.
func TestDemoOnYourServers(t *testing.T) {
	if testing.Short() {
		t.Skip("starts six processes")
	}
	redis, engine := redistest.Start(t), chdbtest.Start(t)
	databases := func() string {
		out, err := engine.Query(t.Context(), "default", "SHOW DATABASES")
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	before := databases()
	bin := binaries(t)
	for _, fill := range []bool{true, false} {
		d := run(t, demo.Config{
			Port: freePorts(t), BinDir: bin, Interval: 2 * time.Second,
			Redis: redis.URL(), ClickHouse: engine.DSN("default"), Fill: fill,
		})
		d.await(t, "AtlHyper Observe runs")
		paths := []string{"/clusters/demo"}
		if fill {
			paths = []string{"/clusters/demo-west", "/nodes/demo-west-worker-1?cluster_id=demo-west"}
			if !strings.Contains(databases(), "atlhyper_demo_west") {
				t.Error("demo-west is not written to the server")
			}
		}
		for _, path := range paths {
			d.eventually(t, path) // one master may be ahead of the other
		}
		d.stop()
		if err := <-d.ended; err != nil {
			t.Errorf("the demo ended with %v", err)
		}
		if after := databases(); after != before {
			t.Errorf("databases before:\n%safter:\n%s", before, after)
		}
		keys, err := redis.Client(t).Keys(t.Context(), "*").Result()
		if err != nil || len(keys) > 0 {
			t.Errorf("left in Redis: %v %v", keys, err)
		}
	}
}

// eventually asks until it is answered with 200.
func (d *running) eventually(t *testing.T, path string) {
	t.Helper()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := ask(t.Context(), d.url(path))
		if err == nil {
			return
		}
		select {
		case <-ticker.C:
		case <-t.Context().Done():
			t.Fatal(err)
		}
	}
}

// awaitCount waits for n more requests.
func awaitCount(t *testing.T, count *atomic.Int64, n int64) {
	t.Helper()
	target := count.Load() + n
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for count.Load() < target {
		select {
		case <-ticker.C:
		case <-t.Context().Done():
			t.Fatal("the requests stopped")
		}
		if t.Failed() {
			t.FailNow()
		}
	}
}

func TestAPortThatIsTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, text, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	if port > 65528 {
		port -= 7
	}
	d := run(t, demo.Config{Port: port, BinDir: os.TempDir()})
	defer d.stop()
	if err := <-d.ended; err == nil || !strings.Contains(err.Error(), "is taken: choose another with PORT=") {
		t.Errorf("error %v, want one that says which port is taken", err)
	}
}

func TestConfigNamesTheField(t *testing.T) {
	good := demo.Config{Port: 8080, BinDir: "bin", Output: io.Discard, Logger: slog.New(slog.DiscardHandler)}
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for field, change := range map[string]func(*demo.Config){
		"port":       func(c *demo.Config) { c.Port = 80 },
		"bin-dir":    func(c *demo.Config) { c.BinDir = "" },
		"kubeconfig": func(c *demo.Config) { c.Kubeconfig = "k" },
		"fill":       func(c *demo.Config) { c.Fill = true },
		"Output":     func(c *demo.Config) { c.Output = nil },
	} {
		bad := good
		change(&bad)
		if err := bad.Validate(); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: error %v", field, err)
		}
	}
}
