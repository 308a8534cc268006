package resources_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/atlhyper/observe/master/resources"
	"github.com/atlhyper/observe/shared/codec"
	"github.com/atlhyper/observe/shared/model"
)

func kindOf(tb testing.TB, path string) *resources.Kind {
	tb.Helper()
	for _, kind := range resources.Kinds() {
		if kind.Path == path {
			return kind
		}
	}
	tb.Fatalf("there is no kind %s", path)
	return nil
}

// sectionJSON is a section's value as masters hold it.
func sectionJSON(tb testing.TB, value any) []byte {
	tb.Helper()
	packed, err := codec.Encode(value)
	if err != nil {
		tb.Fatal(err)
	}
	data, err := codec.ToJSON(nil, packed)
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

func parse(tb testing.TB, path string, value any) resources.Objects {
	tb.Helper()
	data := sectionJSON(tb, value)
	index, err := resources.Parse(kindOf(tb, path), data)
	if err != nil {
		tb.Fatal(err)
	}
	objects, err := index.In(data)
	if err != nil {
		tb.Fatal(err)
	}
	return objects
}

func query(tb testing.TB, path string, params resources.Params) *resources.Query {
	tb.Helper()
	if params.Limit == 0 {
		params.Limit = resources.DefaultLimit
	}
	q, err := resources.NewQuery(kindOf(tb, path), "east", params)
	if err != nil {
		tb.Fatal(err)
	}
	return q
}

// read turns objects back into values.
func read[V any](tb testing.TB, objects [][]byte) []V {
	tb.Helper()
	out := make([]V, len(objects))
	for i, data := range objects {
		if err := json.Unmarshal(data, &out[i]); err != nil {
			tb.Fatalf("%v in %s", err, data)
		}
	}
	return out
}

func podNames(tb testing.TB, page resources.Page) []string {
	tb.Helper()
	names := []string{}
	for _, pod := range read[model.KubePod](tb, page.Objects) {
		names = append(names, pod.Metadata.Namespace+"/"+pod.Metadata.Name)
	}
	return names
}

var base = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// manyPods are pods of deployments as a cluster has them, by namespace, then name.
func manyPods(n int) []model.KubePod {
	random := rand.New(rand.NewPCG(1, 2))
	pods := make([]model.KubePod, 0, n)
	for i := range n {
		app := fmt.Sprintf("service-%03d", i%300)
		pod := model.KubePod{
			Metadata: model.KubeMetadata{
				Namespace: fmt.Sprintf("team-%02d", i%20), Name: fmt.Sprintf("%s-%x-%x", app, random.Uint32(), random.Uint32()),
				Labels:            map[string]string{"app.kubernetes.io/name": app, "tier": []string{"web", "db"}[i%2], "team": strconv.Itoa(i % 20)},
				CreationTimestamp: model.NewTime(base.Add(-time.Duration(random.IntN(1e6)) * time.Second)),
			},
			Phase: "Running", NodeName: fmt.Sprintf("node-%03d", i%200), PodIP: fmt.Sprintf("10.2.%d.%d", i/250, i%250), Ready: 2,
			Owner:      &model.KubeRef{Kind: "ReplicaSet", Name: app + "-5d9c7b"},
			Containers: []model.KubeContainer{{Name: "main", Image: "registry.example.com/" + app + ":1.2.3", Ready: true}, {Name: "proxy", Image: "registry.example.com/proxy:7", Ready: true}},
		}
		if i%97 == 0 {
			pod.Restarts, pod.Ready, pod.Reason = int64(random.IntN(50)), 1, "CrashLoopBackOff"
			pod.Containers[0].Ready, pod.Containers[0].State, pod.Containers[0].Reason = false, "waiting", "CrashLoopBackOff"
		}
		pods = append(pods, pod)
	}
	slices.SortFunc(pods, func(a, b model.KubePod) int {
		return strings.Compare(a.Metadata.Namespace+"\x00"+a.Metadata.Name, b.Metadata.Namespace+"\x00"+b.Metadata.Name)
	})
	return pods
}

func pod(namespace, name string, change func(*model.KubePod)) model.KubePod {
	p := model.KubePod{
		Metadata: model.KubeMetadata{Namespace: namespace, Name: name, CreationTimestamp: model.NewTime(base)},
		Phase:    "Running", Ready: 1, Containers: []model.KubeContainer{{Name: "c", Ready: true}},
	}
	if change != nil {
		change(&p)
	}
	return p
}

func TestFilters(t *testing.T) {
	t.Parallel()
	labelled := func(labels ...string) func(*model.KubePod) {
		return func(p *model.KubePod) {
			p.Metadata.Labels = map[string]string{}
			for i := 0; i < len(labels); i += 2 {
				p.Metadata.Labels[labels[i]] = labels[i+1]
			}
		}
	}
	objects := parse(t, "pods", []model.KubePod{
		pod("a", "cart-1", labelled("app", "cart", "tier", "web")),
		pod("a", "cart-2", labelled("app", "cart")),
		pod("a", "Odd.Name", nil),
		pod("b", "cart-1", labelled("app", "cart", "tier", "web")),
		pod("b", "db-1", labelled("tier", "", "quoted", "a\"b\\")),
	})
	for _, tt := range []struct {
		params resources.Params
		want   []string
	}{
		{resources.Params{}, []string{"a/Odd.Name", "a/cart-1", "a/cart-2", "b/cart-1", "b/db-1"}},
		{resources.Params{Namespace: "b"}, []string{"b/cart-1", "b/db-1"}},
		{resources.Params{Namespace: "none"}, []string{}},
		{resources.Params{Q: "CART"}, []string{"a/cart-1", "a/cart-2", "b/cart-1"}},
		{resources.Params{Q: "d.n"}, []string{"a/Odd.Name"}},
		{resources.Params{Q: "-1", Namespace: "a"}, []string{"a/cart-1"}},
		{resources.Params{LabelSelector: "app=cart"}, []string{"a/cart-1", "a/cart-2", "b/cart-1"}},
		{resources.Params{LabelSelector: "app=cart,tier in (web, db)"}, []string{"a/cart-1", "b/cart-1"}},
		{resources.Params{LabelSelector: "app!=cart"}, []string{"a/Odd.Name", "b/db-1"}},
		{resources.Params{LabelSelector: "tier"}, []string{"a/cart-1", "b/cart-1", "b/db-1"}},
		{resources.Params{LabelSelector: "!tier"}, []string{"a/Odd.Name", "a/cart-2"}},
		{resources.Params{LabelSelector: "tier=,quoted"}, []string{"b/db-1"}},
		{resources.Params{LabelSelector: "tier notin (web)", Namespace: "b", Q: "db"}, []string{"b/db-1"}},
	} {
		page := objects.List(query(t, "pods", tt.params))
		if diff := cmp.Diff(tt.want, podNames(t, page)); diff != "" || page.Total != len(tt.want) || page.NextCursor != "" {
			t.Errorf("%+v: total %d, cursor %q (-want +got):\n%s", tt.params, page.Total, page.NextCursor, diff)
		}
	}
}

func TestSorts(t *testing.T) {
	t.Parallel()
	objects := parse(t, "pods", []model.KubePod{
		pod("a", "x", func(p *model.KubePod) { p.Restarts, p.NodeName = 3, "n2" }),
		pod("a", "y", func(p *model.KubePod) {
			p.Restarts, p.Metadata.CreationTimestamp = 12, model.NewTime(base.Add(100*time.Millisecond))
		}),
		pod("b", "w", func(p *model.KubePod) { p.NodeName = "n1" }),
		pod("b", "x", func(p *model.KubePod) {
			p.Restarts, p.NodeName, p.Metadata.CreationTimestamp = 3, "n2", model.NewTime(base.Add(-time.Hour))
		}),
	})
	for sort, want := range map[string][]string{
		"":           {"a/x", "a/y", "b/w", "b/x"},
		"namespace":  {"a/x", "a/y", "b/w", "b/x"},
		"-namespace": {"b/w", "b/x", "a/x", "a/y"},
		"name":       {"b/w", "a/x", "b/x", "a/y"},
		"-name":      {"a/y", "a/x", "b/x", "b/w"},
		"age":        {"a/y", "a/x", "b/w", "b/x"},
		"-age":       {"b/x", "a/x", "b/w", "a/y"},
		"restarts":   {"b/w", "a/x", "b/x", "a/y"},
		"-restarts":  {"a/y", "a/x", "b/x", "b/w"},
		"nodeName":   {"a/y", "b/w", "a/x", "b/x"},
		"-nodeName":  {"a/x", "b/x", "b/w", "a/y"},
	} {
		for limit := 1; limit <= 5; limit++ {
			got, params := []string{}, resources.Params{Sort: sort, Limit: limit}
			for {
				page := objects.List(query(t, "pods", params))
				got = append(got, podNames(t, page)...)
				if len(page.Objects) > limit || page.Total != 4 {
					t.Fatalf("%q: a page of %d has %d of %d", sort, limit, len(page.Objects), page.Total)
				}
				if params.Cursor = page.NextCursor; params.Cursor == "" {
					break
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%q in pages of %d (-want +got):\n%s", sort, limit, diff)
			}
		}
	}
}

// Whoever pages while objects come and go sees each that stays exactly once.
func TestPagesWhileObjectsComeAndGo(t *testing.T) {
	t.Parallel()
	stay := manyPods(500)
	for _, sort := range []string{"", "-name", "age", "-restarts", "nodeName"} {
		random := rand.New(rand.NewPCG(3, 4))
		seen, params := map[string]int{}, resources.Params{Sort: sort, Limit: 37}
		for {
			now := slices.Clone(stay)
			for range random.IntN(100) { // others are there at each moment
				now = append(now, pod(fmt.Sprintf("team-%02d", random.IntN(20)), fmt.Sprintf("passing-%x", random.Uint32()), func(p *model.KubePod) {
					p.Restarts, p.NodeName = int64(random.IntN(50)), fmt.Sprintf("node-%03d", random.IntN(200))
				}))
			}
			random.Shuffle(len(now), func(i, j int) { now[i], now[j] = now[j], now[i] })
			page := parse(t, "pods", now).List(query(t, "pods", params))
			for _, name := range podNames(t, page) {
				seen[name]++
			}
			if params.Cursor = page.NextCursor; params.Cursor == "" {
				break
			}
		}
		for _, p := range stay {
			if n := seen[p.Metadata.Namespace+"/"+p.Metadata.Name]; n != 1 {
				t.Fatalf("%q: %s was seen %d times", sort, p.Metadata.Name, n)
			}
		}
	}
}

func TestGet(t *testing.T) {
	t.Parallel()
	pods := manyPods(200)
	objects := parse(t, "pods", pods)
	for _, want := range pods {
		data, found := objects.Get(want.Metadata.Namespace, want.Metadata.Name)
		if !found {
			t.Fatalf("%s is not found", want.Metadata.Name)
		}
		if diff := cmp.Diff(want, read[model.KubePod](t, [][]byte{data})[0]); diff != "" {
			t.Fatalf("-want +got\n%s", diff)
		}
	}
	for _, not := range [][2]string{{"", pods[0].Metadata.Name}, {"team-00", "x"}, {pods[0].Metadata.Namespace, ""}, {"team-19", pods[0].Metadata.Name}} {
		if data, found := objects.Get(not[0], not[1]); found {
			t.Errorf("%v is %s", not, data)
		}
	}
}

func TestTrouble(t *testing.T) {
	t.Parallel()
	pods := parse(t, "pods", []model.KubePod{
		pod("a", "fine", nil),
		pod("b", "done", func(p *model.KubePod) { p.Phase, p.Ready = "Succeeded", 0 }),
		pod("b", "failed", func(p *model.KubePod) { p.Phase = "Failed" }),
		pod("b", "half", func(p *model.KubePod) { p.Containers = append(p.Containers, model.KubeContainer{Name: "d"}) }),
		pod("a", "waits", func(p *model.KubePod) { p.Phase = "Pending" }),
	})
	got, total := pods.Trouble(2)
	if diff := cmp.Diff([]string{"a/waits", "b/failed"}, podNames(t, resources.Page{Objects: got})); diff != "" || total != 3 {
		t.Errorf("total %d (-want +got):\n%s", total, diff)
	}
	events := parse(t, "events", []model.KubeEvent{
		{Namespace: "a", Name: "old", Type: "Warning", LastTimestamp: model.NewTime(base)},
		{Namespace: "a", Name: "normal", Type: "Normal", LastTimestamp: model.NewTime(base.Add(time.Hour))},
		{Namespace: "a", Name: "new", Type: "Warning", LastTimestamp: model.NewTime(base.Add(time.Minute))},
	})
	got, total = events.Trouble(20)
	if warnings := read[model.KubeEvent](t, got); total != 2 || len(warnings) != 2 || warnings[0].Name != "new" || warnings[1].Name != "old" {
		t.Errorf("%d warnings: %+v", total, warnings)
	}
	if got, total = parse(t, "configmaps", []model.KubeConfigMap{}).Trouble(20); len(got) != 0 || total != 0 {
		t.Errorf("of none, %d", total)
	}
}

func TestBadParameters(t *testing.T) {
	t.Parallel()
	next := parse(t, "pods", manyPods(10)).List(query(t, "pods", resources.Params{Limit: 3, Q: "service"})).NextCursor
	long := strings.Repeat("x", 3000)
	for _, tt := range []struct {
		kind   string
		params resources.Params
		want   string
	}{
		{"pods", resources.Params{Namespace: long}, "namespace: is longer than 253 bytes"},
		{"pods", resources.Params{Q: long}, "q: is longer than 253 bytes"},
		{"pods", resources.Params{LabelSelector: long}, "label_selector: is longer than 2048 bytes"},
		{"pods", resources.Params{LabelSelector: "a=,=b"}, "label_selector: "},
		{"pods", resources.Params{LabelSelector: "a in (b"}, "label_selector: "},
		{"pods", resources.Params{LabelSelector: "a/b/c=d"}, "label_selector: "},
		{"pods", resources.Params{LabelSelector: strings.TrimSuffix(strings.Repeat("a,", 33), ",")}, "label_selector: asks for more than 32 labels"},
		{"pods", resources.Params{Limit: 1001}, "limit: "},
		{"pods", resources.Params{Limit: -1}, "limit: "},
		{"pods", resources.Params{Sort: "image"}, `sort: "image" is none of name, namespace, age, phase, reason, nodeName, ready, restarts`},
		{"pods", resources.Params{Sort: "--name"}, "sort: "},
		{"pods", resources.Params{Sort: "containers"}, "sort: "},
		{"nodes", resources.Params{Sort: "namespace"}, "sort: "},
		{"events", resources.Params{Sort: "age"}, "sort: "},
		{"pods", resources.Params{Cursor: "%"}, "cursor: is not one"},
		{"pods", resources.Params{Cursor: long}, "cursor: is not one"},
		{"pods", resources.Params{Cursor: "AA", Q: "service"}, "cursor: is not one"},
		{"pods", resources.Params{Cursor: "Ag" + next[2:], Q: "service"}, "cursor: is not one"}, // another version
		{"pods", resources.Params{Cursor: next[:len(next)-4], Q: "service"}, "cursor: is not one"},
		{"pods", resources.Params{Cursor: next}, "cursor: is of another query"},
		{"pods", resources.Params{Cursor: next, Q: "service", Sort: "name"}, "cursor: is of another query"},
		{"pods", resources.Params{Cursor: next, Q: "service", Namespace: "a"}, "cursor: is of another query"},
		{"services", resources.Params{Cursor: next, Q: "service"}, "cursor: is of another query"},
	} {
		if tt.params.Limit == 0 {
			tt.params.Limit = 3
		}
		_, err := resources.NewQuery(kindOf(t, tt.kind), "east", tt.params)
		if err == nil || !strings.HasPrefix(err.Error(), tt.want) || len(err.Error()) > 500 {
			t.Errorf("%+v: %v, want %q", tt.params, err, tt.want)
		}
	}
	if _, err := resources.NewQuery(kindOf(t, "pods"), "west", resources.Params{Cursor: next, Q: "service", Limit: 3}); err == nil {
		t.Error("another cluster takes the cursor")
	}
	if _, err := resources.NewQuery(kindOf(t, "pods"), "east", resources.Params{Cursor: next, Q: "SERVICE", Limit: 1000}); err != nil {
		t.Errorf("another limit: %v", err)
	}
}

// What is not as the kind has it is an error that says where.
func TestHostileSections(t *testing.T) {
	t.Parallel()
	type object = map[string]any
	named := func(more object) []object {
		one := object{"metadata": object{"name": "a"}}
		for k, v := range more {
			one[k] = v
		}
		return []object{{"metadata": object{"name": "b"}}, one}
	}
	for _, tt := range []struct {
		kind  string
		value any
		want  string
	}{
		{"pods", object{}, "is no list"},
		{"pods", 7, "is no list"},
		{"pods", []any{nil}, "object 1: is no object"},
		{"pods", []any{object{}}, "object 1: has no name"},
		{"pods", []any{object{"metadata": object{"name": ""}}}, "object 1: has no name"},
		{"pods", []any{object{"metadata": nil}}, "object 1: metadata: is no object"},
		{"pods", []any{object{"metadata": object{"name": 5}}}, "object 1: metadata: name: is no text"},
		{"pods", []any{object{"metadata": object{"name": strings.Repeat("x", 254)}}}, "name: is longer than 253 bytes"},
		{"pods", []any{object{"metadata": object{"name": "a", "namespace": true}}}, "namespace: is no text"},
		{"pods", []any{object{"metadata": object{"name": "a", "labels": []int{1}}}}, "labels: is no object"},
		{"pods", []any{object{"metadata": object{"name": "a", "labels": object{"x": 1}}}}, "labels: x: is no text"},
		{"pods", []any{object{"metadata": object{"name": "a", "creationTimestamp": "yesterday"}}}, "creationTimestamp: is no time"},
		{"pods", named(object{"restarts": "many"}), "object 2: restarts: is no whole number"},
		{"pods", named(object{"restarts": 1.5}), "object 2: restarts: is no whole number"},
		{"pods", named(object{"restarts": uint64(1) << 63}), "object 2: restarts: is no whole number"},
		{"pods", named(object{"phase": object{}}), "object 2: phase: is no text"},
		{"pods", named(object{"containers": "c"}), "object 2: containers: is no list"},
		{"nodes", named(object{"ready": 1}), "object 2: ready: is neither true nor false"},
		{"jobs", named(object{"startTime": 5}), "object 2: startTime: is no text"},
		{"events", []any{object{"name": "a", "lastTimestamp": "no"}}, "object 1: lastTimestamp: is no time"},
	} {
		_, err := resources.Parse(kindOf(t, tt.kind), sectionJSON(t, tt.value))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s %v: %v, want %q", tt.kind, tt.value, err, tt.want)
		}
	}
	many := append(bytes.Repeat([]byte(`{"metadata":{"name":"a"}},`), 250_000), `{"metadata":{"name":"a"}}]`...)
	if _, err := resources.Parse(kindOf(t, "pods"), append([]byte{'['}, many...)); err == nil || !strings.Contains(err.Error(), "more than 250000") {
		t.Errorf("too many: %v", err)
	}
	// What is unknown or null passes.
	ok := named(object{"phase": nil, "restarts": nil, "age": "x", "invented": object{"deep": []any{"}", "]", `"`, `\`}}})
	data := sectionJSON(t, ok)
	index, err := resources.Parse(kindOf(t, "pods"), data)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := index.In(data[1:]); err == nil {
		t.Error("another value is taken")
	}
}

// The longest key still makes a cursor that is taken.
func TestLongestCursor(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 253)
	objects := parse(t, "pods", []model.KubePod{
		pod(long, long, func(p *model.KubePod) { p.NodeName = strings.Repeat("é", 1000) }),
		pod(long, "y"+long[1:], func(p *model.KubePod) { p.NodeName = strings.Repeat("é", 1001) }),
	})
	page := objects.List(query(t, "pods", resources.Params{Sort: "nodeName", Limit: 1}))
	page = objects.List(query(t, "pods", resources.Params{Sort: "nodeName", Limit: 1, Cursor: page.NextCursor}))
	if got := podNames(t, page); len(got) != 1 || got[0] != long+"/y"+long[1:] {
		t.Errorf("the second page has %v", got)
	}
}

// An index does not keep the value in memory that it was made of. The test is not parallel:
// what others need would count.
func TestIndexKeepsNoValue(t *testing.T) {
	const size = 32 << 20
	pods := manyPods(100)
	pods[50].PodIP = strings.Repeat("x", size)
	data := sectionJSON(t, pods)
	heap := func() int64 {
		runtime.GC()
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		return int64(stats.HeapAlloc)
	}
	before := heap()
	index, err := resources.Parse(kindOf(t, "pods"), data)
	if err != nil {
		t.Fatal(err)
	}
	if kept := heap() - before; kept > size/2 {
		t.Errorf("an index of %d bytes keeps %d in memory", index.Bytes(), kept)
	}
	runtime.KeepAlive(index)
	runtime.KeepAlive(data)
	runtime.KeepAlive(pods)
}

func BenchmarkPods(b *testing.B) {
	data := sectionJSON(b, manyPods(5000))
	kind := kindOf(b, "pods")
	b.Run("parse", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		b.ReportAllocs()
		for b.Loop() {
			index, err := resources.Parse(kind, data)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(index.Bytes()), "index-bytes")
		}
	})
	index, err := resources.Parse(kind, data)
	if err != nil {
		b.Fatal(err)
	}
	objects, err := index.In(data)
	if err != nil {
		b.Fatal(err)
	}
	for name, params := range map[string]resources.Params{
		"all":      {Limit: 100},
		"filtered": {Limit: 100, Q: "service-1", Namespace: "team-03", LabelSelector: "tier in (web,db)", Sort: "-restarts"},
		"labels":   {Limit: 100, LabelSelector: "tier in (web,db),!absent"},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if page := objects.List(query(b, "pods", params)); len(page.Objects) == 0 {
					b.Fatal("nothing is listed")
				}
			}
		})
	}
}

// The README's tables name every kind, and what it is sorted by.
func TestReadme(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"../../README.md", "../../README.zh-CN.md"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, kind := range resources.Kinds() {
			one := "/{name}"
			if kind.Namespaced {
				one = "/{namespace}/{name}"
			}
			row := fmt.Sprintf("| `/%s` | `/%s%s` |", kind.Path, kind.Path, one)
			_, after, found := strings.Cut(string(text), row)
			if !found {
				t.Errorf("%s has no row %s", file, row)
				continue
			}
			line, _, _ := strings.Cut(after, "\n")
			for _, by := range kind.Sorts() {
				if by != "name" && by != "namespace" && by != "age" && !strings.Contains(line, "`"+by+"`") {
					t.Errorf("%s: /%s is sorted by %s, too", file, kind.Path, by)
				}
			}
		}
	}
}
