package load

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/atlhyper/observe/loadtest/proc"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func testStack(t *testing.T) *stack {
	t.Helper()
	s, err := newStack(Config{Masters: 2, Output: io.Discard}, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.stop)
	return s
}

func sh(name, command string) proc.Spec {
	return proc.Spec{Name: name, Path: "/bin/sh", Args: []string{"-c", command}, Grace: time.Second}
}

const forever = "exec sleep 1000"

// A part that ends by itself breaks the whole; one that was told to does not, and
// nothing is left at the end.
func TestParts(t *testing.T) {
	s := testStack(t)
	runs, err := s.run("masters", sh("runs", forever))
	if err != nil {
		t.Fatal(err)
	}
	s.masters[0] = runs
	if err := s.killMaster(0); err != nil {
		t.Fatal(err)
	}
	<-runs.process.Done()
	select {
	case err := <-s.broken:
		t.Errorf("killed on purpose, and broken: %v", err)
	default:
	}
	lasts, err := s.run("redis", sh("lasts", forever))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.run("fleet", sh("ends", "exit 3")); err != nil {
		t.Fatal(err)
	}
	err = s.poll(t.Context(), "nothing", func(context.Context) error { return errors.New("not yet") })
	if err == nil || !strings.Contains(err.Error(), "ends ended by itself: exit status 3") {
		t.Errorf("after a part ended: %v", err)
	}
	s.stop()
	if err := syscall.Kill(lasts.process.PID(), 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("a part is left: %v", err)
	}
	if _, err := s.run("fleet", sh("late", "exit 0")); err == nil {
		t.Error("a part was started after the end")
	}
}

// k6 is stood in for: what happens to masters happens in time and in order, crossed
// thresholds are no error of the run, and other ends are.
func TestScriptsRun(t *testing.T) {
	s := testStack(t)
	s.cfg.Duration, s.cfg.Raw, s.cfg.Scripts = 100*time.Millisecond, t.TempDir(), t.TempDir()
	summary, err := filepath.Abs("testdata/summary.json")
	if err != nil {
		t.Fatal(err)
	}
	samples, err := filepath.Abs("testdata/k6.csv")
	if err != nil {
		t.Fatal(err)
	}
	// It waits for the last event's file before it ends.
	k6 := func(status string) string {
		text := "#!/bin/sh\nfor a; do case $a in csv=*) cp '" + samples + "' \"${a#csv=}\";; *.json) cp '" + summary + "' \"$a\";; esac; done\n" +
			"while [ ! -e '" + s.dir + "/second' ]; do sleep 0.01; done\nexit " + status + "\n"
		path := filepath.Join(t.TempDir(), "k6")
		if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
		return path
	}
	var order []int
	do := func(s *stack, master int) error {
		order = append(order, master)
		if master == 1 {
			return os.WriteFile(filepath.Join(s.dir, "second"), nil, 0o600)
		}
		return nil
	}
	sc := script{name: "test", events: []event{{at: 0.1, label: "first", do: do}, {at: 0.5, label: "second", do: do, master: 1}}}

	s.cfg.K6 = k6("99")
	r, err := s.runScript(t.Context(), sc)
	if err != nil {
		t.Fatal(err)
	}
	if len(order) != 2 || order[0] != 0 || len(r.happened) != 2 || !r.happened[0].at.Before(r.happened[1].at) {
		t.Errorf("happened: %v, %+v", order, r.happened)
	}
	if len(r.failed()) == 0 || len(r.samples) == 0 {
		t.Errorf("%d thresholds crossed, %d metrics", len(r.failed()), len(r.samples))
	}

	s.cfg.K6 = k6("107")
	if _, err := s.runScript(t.Context(), sc); err == nil || !strings.Contains(err.Error(), "exit status 107") {
		t.Errorf("an error of the script: %v", err)
	}
	// Ctrl-C: it is told to end, and the run waits for that.
	s.cfg.K6, s.cfg.Duration = filepath.Join(t.TempDir(), "k6"), time.Hour
	if err := os.WriteFile(s.cfg.K6, []byte("#!/bin/sh\necho $$ >'"+s.dir+"/new'\nmv '"+s.dir+"/new' '"+s.dir+"/pid'\n"+forever+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		defer cancel()
		for ticker := time.NewTicker(10 * time.Millisecond); t.Context().Err() == nil; <-ticker.C {
			if _, err := os.Stat(filepath.Join(s.dir, "pid")); err == nil {
				return
			}
		}
	}()
	if _, err := s.runScript(ctx, sc); !errors.Is(err, context.Canceled) {
		t.Errorf("a run that was stopped: %v", err)
	}
	text, err := os.ReadFile(filepath.Join(s.dir, "pid"))
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("k6 is left: %v", err)
	}
}

func TestConfigNamesTheField(t *testing.T) {
	t.Parallel()
	whole := Config{BinDir: "bin", Scripts: "k6", Raw: "out", Output: io.Discard}
	if _, err := whole.withDefaults(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Config){
		"only":     func(c *Config) { c.Only = []string{"mixed", "else"} },
		"BinDir":   func(c *Config) { c.BinDir = "" },
		"duration": func(c *Config) { c.Duration = time.Second },
		"load":     func(c *Config) { c.Load = -1 },
		"clusters": func(c *Config) { c.Clusters = 10_001 },
		"masters":  func(c *Config) { c.Masters = 1 },
	} {
		cfg := whole
		change(&cfg)
		if _, err := cfg.withDefaults(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Every script of the table is there, and every script that is there is in the table
// or imported.
func TestScriptsAreThere(t *testing.T) {
	t.Parallel()
	for _, s := range scripts() {
		text, err := os.ReadFile(filepath.Join("../k6", s.name+".js"))
		if err != nil {
			t.Error(err)
			continue
		}
		if !strings.Contains(string(text), "thresholds: {") || !strings.Contains(string(text), "...common") {
			t.Errorf("%s.js has no thresholds or not the common options", s.name)
		}
		if strings.Contains(string(text), "the harness") != (len(s.events) > 0) {
			t.Errorf("%s.js: what it says of the harness is not what the table says", s.name)
		}
	}
}

func TestBalancerConfig(t *testing.T) {
	t.Parallel()
	text, err := balancerConfig("127.0.0.1:80", []string{"127.0.0.1:1", "127.0.0.1:2"})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"bind 127.0.0.1:80\n", "server master-0 127.0.0.1:1\n", "server master-1 127.0.0.1:2\n", "balance roundrobin", "GET /readyz"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

func TestProcessorTime(t *testing.T) {
	t.Parallel()
	got, err := parseStat("12 (a (b) c) S 1 1 1 0 -1 4194560 1 2 3 4 150 25 0 0 20 0 1 0 1 1 1")
	if err != nil || got != 1750*time.Millisecond {
		t.Errorf("%v, %v; want 1.75s", got, err)
	}
	for _, bad := range []string{"", "12 (a) S 1", "12 (a) S 1 1 1 0 -1 4194560 1 2 3 4 x 25 0"} {
		if _, err := parseStat(bad); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
	got, err = parseBusy("cpu  100 20 30 4000 500 6 7 8 90 0\ncpu0 1 2 3 4 5 6 7 8 9 0\n")
	if err != nil || got != 1710*time.Millisecond {
		t.Errorf("%v, %v; want 1.71s", got, err)
	}
	for _, bad := range []string{"", "cpu 1 2 3\n", "cpu a 20 30 4000 500 6 7 8 90 0\n"} {
		if _, err := parseBusy(bad); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
}
