package master_test

import (
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/atlhyper/observe/master"
	"github.com/atlhyper/observe/shared/admin"
)

// beside is a master with listeners beside its API.
func beside(t *testing.T, cfg master.Config) (api, metrics, operating *replica) {
	t.Helper()
	at := make(map[string]string)
	told := func(name string) func(net.Addr) {
		return func(a net.Addr) { at[name] = "http://" + a.String() }
	}
	cfg.Redis = "redis://127.0.0.1:1" // nothing here needs it
	cfg.MetricsListen, cfg.OnMetricsListen = "127.0.0.1:0", told("metrics")
	cfg.Admin.Listen, cfg.Admin.OnListen = "127.0.0.1:0", told("admin")
	api = startMaster(t, cfg) // which waits for its API: all of them answer then
	return api, &replica{url: at["metrics"], client: api.client}, &replica{url: at["admin"], client: api.client}
}

// /metrics moves to its own listener, which has nothing else, and the admin listener has
// nothing of the API.
func TestListenersBesideTheAPI(t *testing.T) {
	t.Parallel()
	level := new(slog.LevelVar)
	api, metrics, operating := beside(t, master.Config{Admin: admin.Config{Level: level}})
	for _, c := range []struct {
		from *replica
		path string
		want int
	}{
		{api, "/metrics", http.StatusNotFound},
		{api, "/debug/pprof/", http.StatusNotFound},
		{api, "/loglevel", http.StatusNotFound},
		{api, "/healthz", http.StatusOK},
		{metrics, "/metrics", http.StatusOK},
		{metrics, "/healthz", http.StatusNoContent}, // a probe of the listener itself
		{metrics, "/debug/pprof/", http.StatusNotFound},
		{metrics, "/api/v2/clusters", http.StatusNotFound},
		{operating, "/metrics", http.StatusOK},
		{operating, "/buildinfo", http.StatusOK},
		{operating, "/debug/pprof/", http.StatusOK},
		{operating, "/api/v2/clusters", http.StatusNotFound},
	} {
		if got := c.from.get(t, c.path); got.status != c.want {
			t.Errorf("%s%s: %d, want %d", c.from.url, c.path, got.status, c.want)
		}
	}
	for _, from := range []*replica{metrics, operating} {
		if text := string(from.get(t, "/metrics").body); !strings.Contains(text, `atlhyper_http_requests_total{code="",route="/healthz",status="200"} 1`) {
			t.Errorf("%s does not tell of the API's requests", from.url)
		}
	}
	answer, err := operating.do(t.Context(), http.MethodPut, "/loglevel", `{"level":"debug"}`)
	if err != nil || answer.status != http.StatusOK || level.Level() != slog.LevelDebug {
		t.Errorf("%d %s, %v: the level is %s", answer.status, answer.body, err, level.Level())
	}
}

func TestListenersThatCannotBeHad(t *testing.T) {
	t.Parallel()
	var listen net.ListenConfig
	taken, err := listen.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for want, cfg := range map[string]master.Config{
		"metrics listen": {MetricsListen: taken.Addr().String()},
		"--admin-listen": {Admin: admin.Config{Listen: taken.Addr().String()}},
		"admin listen":   {Admin: admin.Config{Listen: "0.0.0.0:0"}},
		"host:port":      {MetricsListen: "9090"},
	} {
		cfg.Listen, cfg.Redis = "127.0.0.1:0", "redis://127.0.0.1:1"
		m, err := master.New(cfg)
		if err == nil {
			err = m.Run(t.Context())
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want an error about %s", err, want)
		}
	}
}
