package agent_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/atlhyper/observe/agent"
	"github.com/atlhyper/observe/redis/redistest"
	"github.com/atlhyper/observe/shared/admin"
	"github.com/atlhyper/observe/shared/model"
)

// The listeners answer while the agent still asks Kubernetes for the cluster's id, and
// then show what the agent counts.
func TestListenersAnswerBeforeTheIDIsKnown(t *testing.T) {
	answer := make(chan string)
	kube := newKubernetes(model.SectionKubeSummary)
	kube.id = func() (string, error) {
		id, ok := <-answer
		if !ok {
			return "", errors.New("the test is over")
		}
		return id, nil
	}
	cfg := config(redistest.Start(t).URL())
	cfg.ClusterID, cfg.Kubernetes = "", kube
	listens := make(chan net.Addr, 2)
	listening := func(at net.Addr) { listens <- at }
	level := new(slog.LevelVar)
	cfg.MetricsListen, cfg.OnMetricsListen = "127.0.0.1:0", listening
	cfg.Admin = admin.Config{Listen: "127.0.0.1:0", Level: level, OnListen: listening}

	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- agent.Run(ctx, cfg) }()
	urls := []string{"http://" + (<-listens).String(), "http://" + (<-listens).String()} // admin, metrics
	for _, url := range urls {
		if text := scrape(t, url+"/metrics"); !bytes.Contains(text, []byte("atlhyper_build_info{")) || bytes.Contains(text, []byte("atlhyper_agent_slots")) {
			t.Errorf("before the id is known: %s", text)
		}
	}
	if text := scrape(t, urls[0]+"/loglevel"); string(text) != `{"level":"INFO"}`+"\n" {
		t.Errorf("loglevel: %s", text)
	}
	if text := scrape(t, urls[1]+"/loglevel"); !bytes.Contains(text, []byte("404")) {
		t.Errorf("the listener of metrics has more: %s", text)
	}
	answer <- string(cluster)
	for _, url := range urls {
		checkMetrics(t, url+"/metrics", "atlhyper_agent_slots 16")
	}
	// Each has as many values as the agent's own code has names for, but for le and the
	// builds and cluster, of which there is one.
	bounded := []string{"version", "goversion", "revision", "cluster", "section", "outcome", "how", "kind", "pool", "state", "le", "quantile"}
	for _, label := range regexp.MustCompile(`[{,]([a-zA-Z_]+)="`).FindAllSubmatch(scrape(t, urls[1]+"/metrics"), -1) {
		if !slices.Contains(bounded, string(label[1])) {
			t.Errorf("nothing says that the label %s is bounded", label[1])
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	close(answer)
}

// A listener that cannot be had ends the agent, and says which flag is meant.
func TestTakenAddresses(t *testing.T) {
	t.Parallel()
	var listen net.ListenConfig
	taken, err := listen.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for want, change := range map[string]func(*agent.Config){
		"metrics listen": func(c *agent.Config) { c.MetricsListen = taken.Addr().String() },
		"--admin-listen": func(c *agent.Config) { c.Admin.Listen = taken.Addr().String() },
		"admin listen":   func(c *agent.Config) { c.Admin.Listen = "0.0.0.0:0" },
		"cluster_id":     func(c *agent.Config) { c.ClusterID = "" },
		"cluster":        func(c *agent.Config) { c.ClusterID = "Not*Good" },
	} {
		cfg := config("redis://127.0.0.1:1")
		change(&cfg)
		if err := agent.Run(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want an error about %s", err, want)
		}
	}
}
