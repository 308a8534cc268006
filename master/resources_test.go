package master_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/atlhyper/observe/master"
	"github.com/atlhyper/observe/redis/redistest"
	"github.com/atlhyper/observe/redis/snapshot"
	"github.com/atlhyper/observe/shared/model"
)

// page is the body of a list.
type page[V any] struct {
	Data []V
	Meta pageMeta
}

type pageMeta struct {
	ClusterID, CollectedAt, Error, NextCursor, ClusterStatus string
	Seq                                                      int64
	Stale                                                    bool
	Total                                                    int
}

func readBody[B any](t *testing.T, r response) (body B) {
	t.Helper()
	if r.status != http.StatusOK {
		t.Fatalf("%d: %s", r.status, r.body)
	}
	if err := json.Unmarshal(r.body, &body); err != nil {
		t.Fatalf("%v in %s", err, r.body)
	}
	return body
}

// fill gives every field of v a value; n makes it another one each time.
func fill(v reflect.Value, n *int) {
	*n++
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), n)
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), n)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(v.Index(0), n)
		fill(v.Index(1), n)
	case reflect.Map:
		v.Set(reflect.ValueOf(map[string]string{"app": fmt.Sprint("a", *n), "<&>\u2028": "\"\\\n"}))
	case reflect.String:
		if v.Type() == reflect.TypeFor[model.Time]() {
			v.SetString(string(model.NewTime(time.Date(2026, 3, 1, 12, 0, *n, *n*1e6, time.UTC))))
		} else {
			v.SetString(fmt.Sprint("text-", *n))
		}
	case reflect.Bool:
		v.SetBool(*n%2 == 0)
	default:
		v.SetInt(int64(*n))
	}
}

// identify names an object; kinds of the whole cluster are in namespace "".
func identify(v reflect.Value, namespace, name string) {
	if metadata := v.FieldByName("Metadata"); metadata.IsValid() {
		v = metadata
	}
	v.FieldByName("Namespace").SetString(namespace)
	v.FieldByName("Name").SetString(name)
}

// kindCase is a kind as the contract has it, and a check of its endpoints.
type kindCase struct {
	path       string
	section    model.Section
	namespaced bool
	value      any
	check      func(t *testing.T, replicas []*replica, c kindCase)
}

// newKind makes objects of a kind in the order of their list.
func newKind[V any](path string, section model.Section, namespaced bool) kindCase {
	c := kindCase{path: path, section: section, namespaced: namespaced}
	var values []V
	n := 0
	for _, namespace := range []string{"default", "kube-system", "shop"} {
		if !namespaced && namespace != "default" {
			break
		}
		for _, name := range []string{"cart-0", "cart-1", "x.y:z"} {
			var v V
			fill(reflect.ValueOf(&v).Elem(), &n)
			if !namespaced {
				namespace = ""
			}
			identify(reflect.ValueOf(&v).Elem(), namespace, name)
			values = append(values, v)
		}
	}
	c.value = values
	c.check = func(t *testing.T, replicas []*replica, c kindCase) {
		t.Helper()
		want := slices.Clone(values)
		if path == "events" { // newest first
			slices.Reverse(want)
		}
		checkKind(t, replicas, c, want)
	}
	return c
}

func kindCases() []kindCase {
	const namespaced, clusterWide = true, false
	return []kindCase{
		newKind[model.KubeNode]("nodes", "k8s.nodes", clusterWide),
		newKind[model.KubePod]("pods", "k8s.pods", namespaced),
		newKind[model.KubeDeployment]("deployments", "k8s.deployments", namespaced),
		newKind[model.KubeStatefulSet]("statefulsets", "k8s.statefulsets", namespaced),
		newKind[model.KubeDaemonSet]("daemonsets", "k8s.daemonsets", namespaced),
		newKind[model.KubeReplicaSet]("replicasets", "k8s.replicasets", namespaced),
		newKind[model.KubeJob]("jobs", "k8s.jobs", namespaced),
		newKind[model.KubeCronJob]("cronjobs", "k8s.cronjobs", namespaced),
		newKind[model.KubeService]("services", "k8s.services", namespaced),
		newKind[model.KubeIngress]("ingresses", "k8s.ingresses", namespaced),
		newKind[model.KubeNamespace]("namespaces", "k8s.namespaces", clusterWide),
		newKind[model.KubeConfigMap]("configmaps", "k8s.configmaps", namespaced),
		newKind[model.KubeSecret]("secrets", "k8s.secrets", namespaced),
		newKind[model.KubePV]("pvs", "k8s.pvs", clusterWide),
		newKind[model.KubePVC]("pvcs", "k8s.pvcs", namespaced),
		newKind[model.KubeResourceQuota]("resource-quotas", "k8s.resourcequotas", namespaced),
		newKind[model.KubeLimitRange]("limit-ranges", "k8s.limitranges", namespaced),
		newKind[model.KubeNetworkPolicy]("network-policies", "k8s.networkpolicies", namespaced),
		newKind[model.KubeServiceAccount]("service-accounts", "k8s.serviceaccounts", namespaced),
		newKind[model.KubeEvent]("events", "k8s.events", namespaced),
	}
}

// Every kind's list and each of its objects are what was published, on every replica.
func TestEveryKindOfObject(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	a := startAgent(t, redis.URL(), scripted(t, nil))
	w := a.slowWriter(t)
	cases := kindCases()
	values := sections()
	for _, c := range cases {
		values[c.section] = c.value
	}
	publish(t, w, values)
	replicas := []*replica{startMaster(t, master.Config{Redis: redis.URL()}), startMaster(t, master.Config{Redis: redis.URL()})}
	for _, c := range cases {
		t.Run(c.path, func(t *testing.T) {
			t.Parallel()
			c.check(t, replicas, c)
		})
	}
}

func checkKind[V any](t *testing.T, replicas []*replica, c kindCase, want []V) {
	t.Helper()
	list := "/api/v2/" + c.path + "?cluster_id=" + cluster
	var first response
	// The status of the cluster may be another one when the second is asked.
	eventually(t, "replicas agree", func() bool {
		first = replicas[0].get(t, list)
		second := replicas[1].get(t, list)
		return first.status == http.StatusOK && string(first.body) == string(second.body) && first.header.Get("ETag") == second.header.Get("ETag")
	})
	got := readBody[page[V]](t, first)
	if diff := cmp.Diff(want, got.Data); diff != "" {
		t.Fatalf("-want +got\n%s", diff)
	}
	if m := got.Meta; m.Total != len(want) || m.NextCursor != "" || m.ClusterID != cluster || m.CollectedAt == "" || m.Seq == 0 || m.Stale {
		t.Errorf("meta %+v", m)
	}
	if filtered := readBody[page[V]](t, replicas[0].get(t, list+"&q=CART-1&limit=1")); len(filtered.Data) != 1 || filtered.Meta.Total != len(want)/3 {
		t.Errorf("filtered: %+v", filtered)
	}
	if c.namespaced {
		shop := readBody[page[V]](t, replicas[0].get(t, list+"&namespace=shop&sort=-name"))
		if shop.Meta.Total != 3 || len(shop.Data) != 3 {
			t.Errorf("in a namespace: %+v", shop.Meta)
		}
	} else if r := replicas[0].get(t, list+"&namespace=shop"); r.code(t) != "bad_request" || !strings.Contains(string(r.body), "namespace") {
		t.Errorf("a namespace of cluster-wide objects: %s", r.body)
	}
	for i := range want {
		id := reflect.ValueOf(want[i])
		if metadata := id.FieldByName("Metadata"); metadata.IsValid() {
			id = metadata
		}
		path := id.FieldByName("Name").String()
		if c.namespaced {
			path = id.FieldByName("Namespace").String() + "/" + path
		}
		one := readBody[struct {
			Data V
			Meta pageMeta
		}](t, replicas[i%2].get(t, "/api/v2/"+c.path+"/"+path+"?cluster_id="+cluster))
		if diff := cmp.Diff(want[i], one.Data); diff != "" || one.Meta.Seq != got.Meta.Seq {
			t.Errorf("%s, seq %d: -want +got\n%s", path, one.Meta.Seq, diff)
		}
	}
	none := "/none"
	if c.namespaced {
		none = "/shop/none"
	}
	if r := replicas[0].get(t, "/api/v2/"+c.path+none+"?cluster_id="+cluster); r.status != 404 || r.code(t) != "not_found" || !strings.Contains(string(r.body), none[1:]) {
		t.Errorf("what is not there: %d %s", r.status, r.body)
	}
}

// somePods are pods 0 to n-1 of a namespace.
func somePods(namespace string, n int) []model.KubePod {
	pods := make([]model.KubePod, n)
	for i := range pods {
		pods[i] = model.KubePod{
			Metadata: model.KubeMetadata{Namespace: namespace, Name: fmt.Sprintf("pod-%04d", i), Labels: map[string]string{"parity": []string{"even", "odd"}[i%2]},
				CreationTimestamp: model.NewTime(time.Date(2026, 3, 1, 0, 0, i%50, 0, time.UTC))},
			Phase: "Running", Ready: 1, Containers: []model.KubeContainer{{Name: "c", Image: "i", Ready: true}}, Restarts: int64(i % 7),
		}
	}
	return pods
}

// slowWriter publishes what does not become old on a machine that is slow.
func (a *agent) slowWriter(t *testing.T) *snapshot.Writer {
	t.Helper()
	return a.newWriter(t, cluster, 10*time.Minute)
}

// publishOne publishes a section as collected now, unless it says when.
func publishOne(t *testing.T, w *snapshot.Writer, u snapshot.Update) {
	t.Helper()
	if u.At.IsZero() {
		u.At = time.Now()
	}
	if _, err := w.Publish(t.Context(), []snapshot.Update{u}); err != nil {
		t.Fatal(err)
	}
}

// Who pages over all pods, on whatever replica, sees each that stays exactly once while
// others come and go.
func TestPagesOverReplicas(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	a := startAgent(t, redis.URL(), scripted(t, nil))
	w := a.slowWriter(t)
	replicas := []*replica{startMaster(t, master.Config{Redis: redis.URL()}), startMaster(t, master.Config{Redis: redis.URL()})}
	stay := somePods("m", 300)
	put := func(round int) {
		pods := slices.Clone(stay)
		if round%2 == 0 {
			pods = slices.Concat(somePods("a", 10+round), pods, somePods("z", 5))
		}
		publishOne(t, w, snapshot.Update{Name: model.SectionKubePods, Data: encode(t, pods)})
	}
	for i, sort := range []string{"namespace", "-name", "age", "-restarts"} {
		put(0)
		seen := map[string]int{}
		for cursor, round := "", 1; ; round++ {
			r := replicas[round%2].get(t, fmt.Sprintf("/api/v2/pods?cluster_id=%s&limit=17&sort=%s&cursor=%s", cluster, sort, cursor))
			got := readBody[page[model.KubePod]](t, r)
			for _, p := range got.Data {
				seen[p.Metadata.Namespace+"/"+p.Metadata.Name]++
			}
			if cursor = got.Meta.NextCursor; cursor == "" {
				break
			}
			put(round + i)
		}
		for _, p := range stay {
			if n := seen["m/"+p.Metadata.Name]; n != 1 {
				t.Errorf("%s: %s was seen %d times", sort, p.Metadata.Name, n)
			}
		}
	}
}

func TestListsOverHTTP(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	a := startAgent(t, redis.URL(), scripted(t, nil))
	w := a.slowWriter(t)
	publish(t, w, map[model.Section]any{model.SectionKubePods: somePods("shop", 50), model.SectionKubeNodes: []model.KubeNode{}})
	m := startMaster(t, master.Config{Redis: redis.URL()})
	list := "/api/v2/pods?cluster_id=" + cluster
	odd := readBody[page[model.KubePod]](t, m.get(t, list+"&label_selector=parity+in+(odd),parity!%3Deven&sort=-restarts&limit=3"))
	if odd.Meta.Total != 25 || len(odd.Data) != 3 || odd.Data[0].Restarts != 6 || odd.Data[0].Metadata.Labels["parity"] != "odd" {
		t.Errorf("odd pods: %+v", odd)
	}
	if empty := m.get(t, "/api/v2/nodes?cluster_id="+cluster); !strings.Contains(string(empty.body), `"data":[],`) || !strings.Contains(string(empty.body), `"total":0`) {
		t.Errorf("no nodes: %s", empty.body)
	}
	head, err := m.do(t.Context(), http.MethodHead, list, "")
	if err != nil || head.status != 200 || len(head.body) != 0 || head.header.Get("ETag") == "" {
		t.Errorf("HEAD: %v, %+v", err, head)
	}
	for path, name := range map[string]string{
		"&limit=0": "limit", "&limit=1001": "limit", "&limit=x": "limit", "&sort=colour": "sort", "&label_selector=a%3D%3D%3D": "label_selector",
		"&cursor=zz": "cursor", "&namespace=" + strings.Repeat("x", 254): "namespace", "&q=" + strings.Repeat("x", 254): "q",
		"&fieldSelector=a": "fieldSelector", "&q=a&q=b": "q", "&cursor=" + strings.Repeat("A", 4000): "cursor",
	} {
		r := m.get(t, list+path)
		if r.status != 400 || r.code(t) != "bad_request" || !strings.Contains(string(r.body), name+": ") && !strings.Contains(string(r.body), name+`\": `) {
			t.Errorf("%.60s: %d %s", path, r.status, r.body)
		}
	}
	for _, path := range []string{"/api/v2/pods", "/api/v2/pods/shop/pod-0001", "/api/v2/overview", "/api/v2/nodes/a"} {
		if r := m.get(t, path); r.status != 400 || !strings.Contains(string(r.body), "cluster_id: is required") {
			t.Errorf("%s without a cluster: %s", path, r.body)
		}
		if r := m.get(t, path+"?cluster_id=never"); r.status != 404 || r.code(t) != "cluster_unknown" {
			t.Errorf("%s of a cluster that never was: %s", path, r.body)
		}
	}
	if r := m.get(t, "/api/v2/pods/shop?cluster_id="+cluster); r.status != 404 || r.code(t) != "not_found" {
		t.Errorf("no endpoint: %s", r.body)
	}
	if r, err := m.do(t.Context(), http.MethodPost, list, ""); err != nil || r.status != 405 || r.header.Get("Allow") != "GET, HEAD" {
		t.Errorf("POST: %v, %+v", err, r)
	}
}

// A list has the headers of a dashboard: a caller that has it gets 304, another query
// has another tag, and it comes compressed.
func TestHeadersOfLists(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	a := startAgent(t, redis.URL(), scripted(t, nil))
	w := a.slowWriter(t)
	publish(t, w, map[model.Section]any{model.SectionKubePods: somePods("shop", 50)})
	m := startMaster(t, master.Config{Redis: redis.URL()})
	ask := func(query string, header http.Header) (status int, _ http.Header) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, m.url+"/api/v2/pods"+query+"cluster_id="+cluster, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header = header
		resp, err := m.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if err := resp.Body.Close(); err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, resp.Header
	}
	tags := map[string]string{}
	for _, query := range []string{"?", "?limit=3&", "?q=1&", "/shop/pod-0001?"} {
		for _, encoding := range []string{"identity", "gzip", "zstd"} {
			status, h := ask(query, http.Header{"Accept-Encoding": {encoding}})
			tag := h.Get("ETag")
			if status != http.StatusOK || h.Get("Vary") != "Accept-Encoding" || h.Get("Cache-Control") != "no-cache" || h.Get("Age") == "" {
				t.Errorf("%s %s: %d %v", query, encoding, status, h)
			}
			if query == "?" && encoding != "identity" && h.Get("Content-Encoding") != encoding {
				t.Errorf("%s: Content-Encoding %q", encoding, h.Get("Content-Encoding"))
			}
			if was, there := tags[tag]; there && !strings.HasPrefix(was, query+" ") {
				t.Errorf("%s and %s have one tag", was, query)
			}
			tags[tag] = query + " " + encoding
			// The status of the cluster may be another one meanwhile.
			eventually(t, query+" is not sent to who has it", func() bool {
				_, h := ask(query, http.Header{"Accept-Encoding": {encoding}})
				status, _ := ask(query, http.Header{"Accept-Encoding": {encoding}, "If-None-Match": {h.Get("ETag")}})
				return status == http.StatusNotModified
			})
		}
	}
}

// What cannot be shown says why: a kind that the agent may not read, one that it may not
// read any more, one that is not what it should be, and a cluster without Kubernetes.
func TestObjectsThatCannotBeShown(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	a := startAgent(t, redis.URL(), scripted(t, nil))
	w := a.slowWriter(t)
	m := startMaster(t, master.Config{Redis: redis.URL()})
	list := func(kind string) response { return m.get(t, "/api/v2/"+kind+"?cluster_id="+cluster) }
	publish(t, w, sections())
	for _, path := range []string{"pods", "secrets", "pods/shop/a", "nodes/a"} {
		if r := list(path); r.status != 404 || r.code(t) != "not_ready" || !strings.Contains(string(r.body), "shows no Kubernetes objects") {
			t.Errorf("%s without Kubernetes: %d %s", path, r.status, r.body)
		}
	}

	const why = "the agent may not list and watch secrets"
	publish(t, w, map[model.Section]any{model.SectionKubePods: somePods("shop", 3)})
	publishOne(t, w, snapshot.Update{Name: model.SectionKubeSecrets, Err: why})
	if r := list("secrets"); r.status != 404 || r.code(t) != "not_ready" || !strings.Contains(string(r.body), why) {
		t.Errorf("forbidden: %d %s", r.status, r.body)
	}
	if r := list("jobs"); r.status != 404 || r.code(t) != "not_ready" || strings.Contains(string(r.body), "no Kubernetes") {
		t.Errorf("not yet: %d %s", r.status, r.body)
	}
	if got := readBody[page[model.KubePod]](t, list("pods")); len(got.Data) != 3 || got.Meta.Stale {
		t.Errorf("pods: %+v", got)
	}

	publishOne(t, w, snapshot.Update{Name: model.SectionKubePods, Err: "the agent may not list and watch pods"})
	eventually(t, "the pods are stale", func() bool {
		got := readBody[page[model.KubePod]](t, list("pods"))
		return len(got.Data) == 3 && got.Meta.Stale && got.Meta.Error == "the agent may not list and watch pods"
	})

	publishOne(t, w, snapshot.Update{Name: model.SectionKubePods, Data: encode(t, map[string]any{"not": "a list"})})
	eventually(t, "what is no list is refused", func() bool {
		r := list("pods")
		return r.status == 503 && r.code(t) == "store_unavailable" && strings.Contains(string(r.body), "section k8s.pods")
	})
	page := readBody[overview](t, m.get(t, "/api/v2/overview?cluster_id="+cluster))
	if pods := page.Data.Unhealthy.Pods; string(pods.Data) != "null" || !strings.Contains(pods.Error, "section k8s.pods") || string(page.Data.OTel.Data) == "null" {
		t.Errorf("the overview: %+v", page.Data)
	}
	publishOne(t, w, snapshot.Update{Name: model.SectionKubePods, Data: encode(t, somePods("shop", 4))})
	eventually(t, "a list is shown again", func() bool {
		r := list("pods")
		return r.status == 200 && strings.Contains(string(r.body), `"total":4`)
	})
}

// A cluster that Redis lost or cannot tell of goes on as it was, as dashboards do.
func TestListsWhileRedisIsAway(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	a := startAgent(t, redis.URL(), scripted(t, nil))
	w := a.slowWriter(t)
	publish(t, w, map[model.Section]any{model.SectionKubePods: somePods("shop", 3), model.SectionKubeSummary: model.KubeSummary{Pods: &model.KubePodCounts{Total: 3}}})
	m := startMaster(t, master.Config{Redis: redis.URL()})
	m.get(t, "/api/v2/overview?cluster_id="+cluster)
	a.stop()
	redis.Stop()
	eventually(t, "what is held is stale", func() bool {
		got := readBody[page[model.KubePod]](t, m.get(t, "/api/v2/pods?cluster_id="+cluster))
		return got.Meta.Total == 3 && got.Meta.Stale && got.Meta.ClusterStatus == "unknown" && got.Meta.Error != ""
	})
	eventually(t, "so is the overview", func() bool {
		r := m.get(t, "/api/v2/overview?cluster_id="+cluster)
		if r.status != 200 {
			return false
		}
		got := readBody[overview](t, r)
		return got.Data.Cluster.Status == "unknown" && got.Data.Summary.Stale && string(got.Data.Summary.Data) != "null" && got.Data.Metrics.Error != ""
	})
	redis.Restart()
}
