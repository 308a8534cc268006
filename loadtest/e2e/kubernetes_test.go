package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/atlhyper/observe/agent"
	"github.com/atlhyper/observe/agent/clickhouse"
	"github.com/atlhyper/observe/agent/kube"
	"github.com/atlhyper/observe/loadtest/kubesim"
	"github.com/atlhyper/observe/loadtest/kubesim/world"
	"github.com/atlhyper/observe/redis/redistest"
)

// kubernetes is a simulated cluster at a time that the test says, its agent, and two
// masters. There is no ClickHouse: that must not matter to it.
type kubernetes struct {
	masters [2]*replica
	api     *replica // the API server
	now     atomic.Int64
	looked  atomic.Int64 // how often the world has looked at the time
	id      string       // the cluster's
}

func (k *kubernetes) clock() time.Time { return time.Unix(k.now.Load(), 0).UTC() }

// move brings the cluster to a moment.
func (k *kubernetes) move(t *testing.T, to time.Time) {
	t.Helper()
	k.now.Store(to.Unix())
	// The second look begins after what the first one found has been applied.
	looked := k.looked.Load()
	eventually(t, "the world is at "+to.String(), func() bool { return k.looked.Load() >= looked+2 })
}

func newKubernetes(t *testing.T, start time.Time) *kubernetes {
	t.Helper()
	redis := redistest.Start(t)
	k := &kubernetes{}
	k.now.Store(start.Unix())
	for i, name := range []string{"master-a", "master-b"} {
		k.masters[i] = startMaster(t, name, redis.URL())
	}
	listening := make(chan net.Addr, 1)
	server, err := kubesim.New(kubesim.Config{Listen: "127.0.0.1:0", OnListen: func(a net.Addr) { listening <- a }})
	if err != nil {
		t.Fatal(err)
	}
	objects, err := world.New(world.Config{Name: "demo-east", Start: start})
	if err != nil {
		t.Fatal(err)
	}
	ready := make(chan struct{})
	run(t, "the world", func(ctx context.Context) error {
		return objects.Run(ctx, server, func() time.Time {
			k.looked.Add(1)
			return k.clock()
		}, ready)
	})
	run(t, "the API server", server.Run)
	<-ready
	address := (<-listening).String()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	k.api = &replica{name: "the API server", url: "http://" + address, http: &http.Client{Transport: transport}}
	k.startAgent(t, redis.URL(), address)
	return k
}

func (k *kubernetes) startAgent(t *testing.T, redisURL, address string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(file, kubesim.Kubeconfig(address), 0o600); err != nil {
		t.Fatal(err)
	}
	api, err := kube.Connect(file)
	if err != nil {
		t.Fatal(err)
	}
	logger := slog.New(slog.NewTextHandler(t.Output(), nil))
	cluster, err := kube.New(kube.Config{API: api, Clock: k.clock, Logger: logger})
	if err != nil {
		t.Fatal(err)
	}
	cfg := agent.Config{
		Instance: "agent", Redis: redisURL, Interval: time.Second, Kubernetes: cluster, Logger: logger,
		ClickHouse: clickhouse.Config{DSN: "http://127.0.0.1:9/nothing-listens-there"},
		Elect: func(id, instance string) (agent.Election, error) {
			return kube.NewElection(kube.ElectionConfig{API: api, Namespace: "monitoring", Cluster: id, Instance: instance, Logger: logger})
		},
	}
	if cfg, err = cfg.Identified(t.Context()); err != nil {
		t.Fatal(err)
	}
	k.id = cfg.ClusterID
	a, err := agent.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	run(t, "agent", a.Run)
}

// fetch reads JSON from a server.
func fetch[T any](t *testing.T, from *replica, path string) T {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, from.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := from.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var out T
	if err := json.NewDecoder(res.Body).Decode(&out); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return out
}

// objects are all that the API server has.
func (k *kubernetes) objects(t *testing.T) everything {
	t.Helper()
	all := everything{}
	for _, e := range expectations() {
		all[e.api] = fetch[struct{ Items []object }](t, k.api, e.api).Items
	}
	return all
}

// page is a page of a list.
type page struct {
	Data []object
	Meta struct {
		Total      int
		NextCursor string
		Stale      bool
		Error      string
	}
	Error string
}

// walk reads a list page by page, from one master after the other. The list must not
// change meanwhile; ok is false when it did.
func (k *kubernetes) walk(t *testing.T, list, params string) (all []object, ok bool) {
	t.Helper()
	cursor := ""
	for i := 0; ; i++ {
		p := fetch[page](t, k.masters[i%2], prefix+"/"+list+"?cluster_id="+k.id+"&limit=7"+params+"&cursor="+cursor)
		if p.Error != "" || p.Meta.Stale || p.Meta.Error != "" || len(p.Data) > 7 {
			return nil, false
		}
		for _, o := range p.Data {
			all = append(all, shownAs(list, o))
		}
		if cursor = p.Meta.NextCursor; cursor == "" {
			return all, len(all) == p.Meta.Total
		}
	}
}

// whole walks until it gets a list that is fresh: on a machine that stood still it is
// stale for a moment.
func (k *kubernetes) whole(t *testing.T, list, params string) (all []object) {
	t.Helper()
	eventually(t, list+" is whole and fresh", func() (ok bool) {
		all, ok = k.walk(t, list, params)
		return ok
	})
	return all
}

// expected is what a list shows of the objects, by name.
func (e expectation) expected(all everything) map[string]object {
	out := map[string]object{}
	for _, o := range all[e.api] {
		if e.list == "replicasets" && number(o, "spec", "replicas") == 0 {
			continue // the history of a deployment
		}
		out[name(o)] = e.fields(o, all)
	}
	return out
}

// only keeps of what is shown the fields that are expected.
func only(shown []object, want map[string]object) map[string]object {
	out := map[string]object{}
	for _, o := range shown {
		fields := object{}
		for field := range want[name(o)] {
			if v, ok := o[field]; ok {
				fields[field] = v
			} else if _, isNumber := want[name(o)][field].(float64); isNumber {
				fields[field] = 0.0
			}
		}
		out[name(o)] = fields
	}
	return out
}

// TestKubernetes compares all lists, single objects and the overview with what the
// simulated API server has, at moments at which different things happen.
func TestKubernetes(t *testing.T) {
	start := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	k := newKubernetes(t, start)
	for _, d := range []time.Duration{0, 75 * time.Second, 4*time.Minute + 30*time.Second, 20 * time.Minute} {
		k.move(t, start.Add(d))
		all := k.objects(t)
		for _, e := range expectations() {
			t.Run(fmt.Sprintf("after %s/%s", d, e.list), func(t *testing.T) { k.checkList(t, e, all) })
		}
		t.Run(fmt.Sprintf("after %s/overview", d), func(t *testing.T) {
			var diff string
			t.Cleanup(func() { t.Log(diff) })
			eventually(t, "the overview is as the API server has it", func() bool {
				diff = cmp.Diff(expectedOverview(t, all), k.overview(t))
				return diff == ""
			})
		})
	}
	t.Run("queries", k.testQueries)
}

func (k *kubernetes) checkList(t *testing.T, e expectation, all everything) {
	t.Helper()
	want := e.expected(all)
	if len(want) == 0 {
		t.Fatal("the API server has none")
	}
	var shown []object
	var diff string
	t.Cleanup(func() {
		if diff != "" {
			t.Logf("-want +shown:\n%s", clip(diff, 60))
		}
	})
	eventually(t, e.list+" is as the API server has it", func() bool {
		list, ok := k.walk(t, e.list, "")
		shown, diff = list, cmp.Diff(want, only(list, want))
		return ok && diff == ""
	})
	for i, o := range shown {
		if strings.Contains(fmt.Sprint(o), world.Marker) {
			t.Errorf("%s shows what it must not", name(o))
		}
		if i > 0 && !inOrder(t, e.list, shown[i-1], o) {
			t.Errorf("%s comes before %s", name(shown[i-1]), name(o))
		}
	}
	last := shown[len(shown)-1]
	// The end of the list may have come from the other master, a moment ahead.
	eventually(t, name(last)+" alone is as in the list", func() bool {
		one := fetch[struct{ Data object }](t, k.masters[0], prefix+"/"+e.list+"/"+strings.TrimPrefix(name(last), "/")+"?cluster_id="+k.id).Data
		diff = cmp.Diff(last, shownAs(e.list, one))
		return diff == ""
	})
	k.masters[1].get(t, "/"+e.list+"/"+strings.TrimPrefix(name(last), "/")+"-", "cluster_id", k.id).refused(t, "an object that is not there", http.StatusNotFound, "not_found")
}

// inOrder: by namespace and name; events the newest first.
func inOrder(t *testing.T, list string, a, b object) bool {
	t.Helper()
	if list == "events" {
		return seconds(t, a, "lastTimestamp") >= seconds(t, b, "lastTimestamp")
	}
	if x, y := text(a, "metadata", "namespace"), text(b, "metadata", "namespace"); x != y {
		return x < y
	}
	return text(a, "metadata", "name") < text(b, "metadata", "name")
}

// testQueries: lists are cut, ordered and counted as they are asked for.
func (k *kubernetes) testQueries(t *testing.T) {
	all := k.objects(t)
	pods := all["/api/v1/pods"]
	for params, match := range map[string]func(object) bool{
		"&namespace=shop": func(o object) bool { return text(o, "metadata", "namespace") == "shop" },
		"&q=PAY":          func(o object) bool { return strings.Contains(text(o, "metadata", "name"), "pay") },
		"&label_selector=app%20in%20(cart,checkout)": func(o object) bool { a := text(o, "metadata", "labels", "app"); return a == "cart" || a == "checkout" },
		"&namespace=shop&label_selector=app!%3Dcart": func(o object) bool {
			return text(o, "metadata", "namespace") == "shop" && text(o, "metadata", "labels", "app") != "cart"
		},
		"&namespace=hotrod&q=route&sort=-creation": nil,
	} {
		if match == nil {
			k.masters[0].get(t, "/pods?cluster_id="+k.id+params).refused(t, params, http.StatusBadRequest, "bad_request")
			continue
		}
		var want []string
		for _, p := range pods {
			if match(p) {
				want = append(want, name(p))
			}
		}
		slices.Sort(want)
		shown := k.whole(t, "pods", params)
		var got []string
		for _, o := range shown {
			got = append(got, name(o))
		}
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" || len(want) == 0 {
			t.Errorf("%s (-want +got):\n%s", params, diff)
		}
	}
	shown := k.whole(t, "pods", "&sort=-restarts")
	if !slices.IsSortedFunc(shown, func(a, b object) int { return int(number(b, "restarts") - number(a, "restarts")) }) || number(shown[0], "restarts") == 0 {
		t.Errorf("by restarts: %v", shown)
	}
}
