package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"

	"github.com/atlhyper/observe/agent"
	"github.com/atlhyper/observe/cmd/internal/clitest"
)

func parse(t *testing.T, args ...string) (flags, error) {
	t.Helper()
	var f flags
	parser, err := kong.New(&f, options()...)
	if err != nil {
		t.Fatal(err)
	}
	_, err = parser.Parse(args)
	return f, err
}

func TestFlagsAndEnvironment(t *testing.T) {
	t.Setenv("ATLHYPER_CLUSTER_ID", "from-env")
	t.Setenv("ATLHYPER_INTERVAL", "20s")
	f, err := parse(t, "--clickhouse", "http://localhost:8123", "--interval", "30s")
	if err != nil {
		t.Fatal(err)
	}
	if f.ClusterID != "from-env" || f.Interval != 30*time.Second || f.Slots != 16 || f.TracesTable != "otel_traces" || f.LogFormat != "text" {
		t.Errorf("flags %+v", f)
	}
}

func TestBadFlags(t *testing.T) {
	good := []string{"--cluster-id=a", "--clickhouse=http://localhost:8123"}
	for flag, name := range map[string]string{
		"--interval=soon": "interval", "--log-level=loud": "log-level", "--slots=x": "slots", "--kubernetes=maybe": "kubernetes",
	} {
		if _, err := parse(t, append(good, flag)...); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v, want an error that names it", flag, err)
		}
	}
	if _, err := parse(t, good[0]); err == nil || !strings.Contains(err.Error(), "--clickhouse") {
		t.Errorf("without --clickhouse: %v", err)
	}
}

func TestRun(t *testing.T) {
	nowhere := []string{"--cluster-id=a", "--clickhouse=http://127.0.0.1:1/otel", "--redis=redis://127.0.0.1:1", "--log-level=error", "--admin-listen=off"}
	f, err := parse(t, nowhere...)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := run(ctx, f); err != nil {
		t.Errorf("told to end while Redis and ClickHouse are away: %v", err)
	}
	for field, change := range map[string]func(*flags){
		"is required without Kubernetes": func(f *flags) { f.ClusterID = "" },
		"no-such-file":                   func(f *flags) { f.Kubeconfig = "no-such-file" },
		"from within":                    func(f *flags) { f.Kubernetes = "on" },

		"cluster_id":      func(f *flags) { f.ClusterID = "Not*Good" },
		"interval":        func(f *flags) { f.Interval = time.Millisecond },
		"section timeout": func(f *flags) { f.SectionTimeout = time.Hour },
		"slots":           func(f *flags) { f.Slots = -1 },
		"DSN":             func(f *flags) { f.Clickhouse = "nonsense" },
		"redis":           func(f *flags) { f.Redis = "nonsense://secret@host" },
		"table name":      func(f *flags) { f.LogsTable = "logs; DROP TABLE x" },
	} {
		bad := f
		change(&bad)
		err := run(t.Context(), bad)
		if err == nil || !strings.Contains(err.Error(), field) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: error %v", field, err)
		}
	}
}

// Without an API server and a name, the agent waits for the cluster's id; it ends when
// it is told to.
func TestEndsWhileItWaitsForItsID(t *testing.T) {
	f, err := parse(t, "--clickhouse=http://127.0.0.1:1/otel", "--redis=redis://127.0.0.1:1", "--kubeconfig="+kubeconfig(t, "http://127.0.0.1:1"), "--admin-listen=off")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := run(ctx, f); err != nil {
		t.Error(err)
	}
	f.Interval = time.Millisecond
	if err := run(t.Context(), f); err == nil || !strings.Contains(err.Error(), "interval") {
		t.Errorf("%v, want a bad flag to be an error at once", err)
	}
}

// Which flags make the agent read Kubernetes where it runs in no pod.
func TestKubernetes(t *testing.T) {
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	file := kubeconfig(t, "http://127.0.0.1:1")
	for args, want := range map[string]bool{
		"":                                      false,
		"--kubernetes=off":                      false,
		"--kubernetes=off --kubeconfig=" + file: false,
		"--kubeconfig=" + file:                  true,
		"--kubernetes=on --kubeconfig=" + file:  true,
	} {
		f, err := parse(t, append(strings.Fields(args), "--cluster-id=a", "--clickhouse=http://127.0.0.1:1")...)
		if err != nil {
			t.Fatal(err)
		}
		cfg := agent.Config{Logger: f.Logger()}
		if err := f.kubernetes(&cfg); err != nil || (cfg.Kubernetes != nil) != want || (cfg.Elect != nil) != want {
			t.Errorf("%q: %+v, %v; want Kubernetes: %t", args, cfg, err, want)
		}
		if cfg.Elect == nil {
			continue
		}
		if election, err := cfg.Elect("c1", "a1"); err != nil {
			t.Errorf("%q: %v", args, err)
		} else if leads, _ := election.Leads(); leads {
			t.Errorf("%q: it leads before it runs", args)
		}
	}
}

// kubeconfig writes a file that says where the API server is.
func kubeconfig(t *testing.T, url string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "kubeconfig")
	text := `apiVersion: v1
kind: Config
current-context: c
contexts: [{name: c, context: {cluster: c}}]
clusters: [{name: c, cluster: {server: "` + url + `"}}]
`
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestREADMENamesEveryFlag(t *testing.T) {
	clitest.CheckREADME(t, "../..", &flags{}, options()...)
}
