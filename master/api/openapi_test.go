package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/go-chi/chi/v5"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/atlhyper/observe/master/api"
	"github.com/atlhyper/observe/master/compress"
	"github.com/atlhyper/observe/master/dashboard"
	"github.com/atlhyper/observe/master/dispatch"
	"github.com/atlhyper/observe/master/envelope"
	"github.com/atlhyper/observe/master/resources"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/shared/codec"
	"github.com/atlhyper/observe/shared/model"
)

// describedAPI is an API with every route, and its description as others read it.
func describedAPI(t *testing.T, b *backend) (*api.API, *openapi3.T) {
	t.Helper()
	a := guarded(t, b, func(c *api.Config) {
		c.ServeMetrics = promhttp.HandlerFor(prometheus.NewRegistry(), promhttp.HandlerOpts{})
	})
	w := do(t, a, http.MethodGet, "/openapi.json", nil)
	if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "application/json; charset=utf-8" {
		t.Fatalf("%d %v", w.Code, w.Header())
	}
	loader := openapi3.NewLoader()
	doc, err := loader.LoadFromData(w.Body.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return a, doc
}

func TestTheDescriptionIsOne(t *testing.T) {
	t.Parallel()
	a, doc := describedAPI(t, detailed(t))
	if err := doc.Validate(t.Context(), openapi3.IsOpenAPI31OrLater()); err != nil {
		t.Error(err)
	}
	tag := do(t, a, http.MethodGet, "/openapi.json", nil).Header().Get("ETag")
	if w := do(t, a, http.MethodGet, "/openapi.json", http.Header{"If-None-Match": {tag}}); tag == "" || w.Code != http.StatusNotModified {
		t.Errorf("asked again with %s: %d", tag, w.Code)
	}
	if again := do(t, guarded(t, detailed(t), func(*api.Config) {}), http.MethodGet, "/openapi.json", nil); again.Header().Get("ETag") == tag {
		t.Error("a description without /metrics has the tag of one with it")
	}
}

func TestTheDescriptionHasEveryRoute(t *testing.T) {
	t.Parallel()
	a, doc := describedAPI(t, detailed(t))
	described := map[string]bool{}
	for path, item := range doc.Paths.Map() {
		for method := range item.Operations() {
			described[method+" "+path] = true
		}
	}
	served, ids := map[string]bool{}, map[string]bool{}
	err := chi.Walk(a.Routes(), func(method, pattern string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		if method != http.MethodHead {
			served[method+" "+pattern] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(served, described); diff != "" {
		t.Errorf("-served +described\n%s", diff)
	}
	for path, item := range doc.Paths.Map() {
		for method, operation := range item.Operations() {
			if ids[operation.OperationID] || operation.Summary == "" {
				t.Errorf("%s %s: id %q, summary %q", method, path, operation.OperationID, operation.Summary)
			}
			ids[operation.OperationID] = true
		}
	}
}

// Asked for what is no parameter, an endpoint names those that it has.
func TestTheDescriptionHasEveryParameter(t *testing.T) {
	t.Parallel()
	a, doc := describedAPI(t, detailed(t))
	for path, item := range doc.Paths.Map() {
		for method, operation := range item.Operations() {
			if method != http.MethodGet || !strings.HasPrefix(path, api.Prefix) {
				continue
			}
			var described []string
			for _, p := range operation.Parameters {
				if p.Value.In == "query" {
					described = append(described, p.Value.Name)
				}
			}
			slices.Sort(described)
			f := readFailure(t, do(t, a, method, withPath(path)+"?zzz=1", as("alice")))
			var read []string
			if _, names, ok := strings.Cut(f.Error, "; there are "); ok {
				read = strings.Split(names, ", ")
			} else if !strings.Contains(f.Error, "has none") {
				t.Errorf("%s: %+v", path, f)
			}
			slices.Sort(read)
			if diff := cmp.Diff(read, described); diff != "" {
				t.Errorf("%s: -read +described\n%s", path, diff)
			}
		}
	}
	const logs = api.Prefix + "/observe/logs/query"
	for name := range doc.Paths.Value(logs).Post.RequestBody.Value.Content.Get("application/json").Schema.Value.Properties {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, logs, strings.NewReader(fmt.Sprintf(`{%q:[]}`, name)))
		r.Header = as("alice")
		w := httptest.NewRecorder()
		a.ServeHTTP(w, r)
		if f := readFailure(t, w); !strings.HasPrefix(f.Error, name+": must be a") {
			t.Errorf("the body's field %s: %+v", name, f)
		}
	}
}

func withPath(pattern string) string {
	return regexp.MustCompile(`\{\w+\}`).ReplaceAllString(pattern, "x")
}

// asAgents are the values of all sections and details as agents send them, with every
// field of every type filled in.
func asAgents(t *testing.T, value any) []byte {
	t.Helper()
	data, err := codec.Encode(value)
	if err != nil {
		t.Fatal(err)
	}
	body, err := envelope.FromMsgpack(data, envelope.Meta{ClusterID: "a", CollectedAt: model.NewTime(clock()), Detail: &envelope.Detail{Agent: "agent-1"}})
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// What the API answers is what the description says, with empty values and with full
// ones.
func TestAnswersAreAsDescribed(t *testing.T) {
	t.Parallel()
	compressor, err := compress.New()
	if err != nil {
		t.Fatal(err)
	}
	for name, made := range map[string]func(any) any{"empty": empty, "full": full} {
		b := &backend{
			section: func(_ context.Context, _ key.Cluster, s model.Section) (*dashboard.Answer, error) {
				value := made(api.SectionTypes()[s])
				if name == "full" && isClusterWide(s) {
					reflect.ValueOf(value).Index(0).FieldByName("Metadata").FieldByName("Namespace").SetString("")
				}
				data, err := codec.Encode(value)
				if err != nil {
					return nil, err
				}
				inside, err := codec.ToJSON(nil, data)
				if err != nil {
					return nil, err
				}
				body, inside, err := envelope.FromJSON(inside, envelope.Meta{ClusterID: "a", CollectedAt: "2026-03-01T12:00:00Z"})
				return dashboard.NewAnswer(dashboard.Content{Body: body, Data: inside, ETag: "1", CollectedAt: clock()}, compressor), err
			},
			do: func(_ context.Context, r dispatch.Request) ([]byte, error) {
				return asAgents(t, made(api.DetailTypes()[r.Detail.Kind()])), nil
			},
			clusters: func(context.Context) ([]dashboard.Cluster, error) {
				return []dashboard.Cluster{fullCluster()}, nil
			},
			cluster: func(context.Context, key.Cluster) (dashboard.Cluster, error) { return fullCluster(), nil },
			fleet: func(context.Context) (dashboard.Fleet, error) {
				return dashboard.Fleet{Clusters: []dashboard.FleetCluster{{ID: "a"}, {ID: "b", Overview: &dashboard.FleetOverview{Data: json.RawMessage(`{}`)}}}}, nil
			},
			ready: func(context.Context) error { return nil },
		}
		a, doc := describedAPI(t, b)
		checked := 0
		for path, item := range doc.Paths.Map() {
			for method, operation := range item.Operations() {
				if checkAnswer(t, a, name, method, path, operation) {
					checked++
				}
			}
		}
		if checked < 55 {
			t.Errorf("%s: only %d answers were held against their description", name, checked)
		}
	}
}

func isClusterWide(s model.Section) bool {
	return slices.ContainsFunc(resources.Kinds(), func(k *resources.Kind) bool { return k.Section == s && !k.Namespaced })
}

// checkAnswer holds one answer against its description; false when it is no JSON.
func checkAnswer(t *testing.T, a http.Handler, name, method, path string, operation *openapi3.Operation) bool {
	t.Helper()
	if strings.HasSuffix(path, "/stream") || path == "/metrics" || method == http.MethodDelete {
		return false
	}
	url, body := strings.NewReplacer("{namespace}", "x", "{name}", "x", "{id}", strings.Repeat("0a", 16)).Replace(path), ""
	given := map[string]string{"cluster_id": "a", "metric": "cpu", "service": "cart"}
	query := []string{}
	for _, p := range operation.Parameters {
		if value := given[p.Value.Name]; p.Value.In == "query" && value != "" {
			query = append(query, p.Value.Name+"="+value)
		}
	}
	if method == http.MethodPost {
		body = `{"cluster_id":"a"}`
	}
	r := httptest.NewRequestWithContext(t.Context(), method, url+"?"+strings.Join(query, "&"), strings.NewReader(body))
	r.Header = as("alice")
	w := httptest.NewRecorder()
	a.ServeHTTP(w, r)
	responses := operation.Responses
	described := responses.Default()
	if w.Code == http.StatusOK {
		described = responses.Value("200")
	} else if name == "full" {
		t.Errorf("%s %s: %d %s", method, path, w.Code, w.Body)
	}
	var answer any
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
		t.Errorf("%s %s: %d: %v", method, path, w.Code, err)
		return false
	}
	schema := described.Value.Content.Get("application/json").Schema.Value
	if err := schema.VisitJSON(answer, openapi3.EnableJSONSchema2020()); err != nil {
		t.Errorf("%s: %s %s: %v\n%.600s", name, method, path, err, w.Body)
	}
	return true
}

// Schemas that allow everything would let every answer pass.
func TestTheDescriptionRefusesOtherAnswers(t *testing.T) {
	t.Parallel()
	_, doc := describedAPI(t, detailed(t))
	schema := doc.Paths.Value(api.Prefix + "/observe/metrics/summary").Get.Responses.Value("200").Value.Content.Get("application/json").Schema.Value
	data := map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(doc.Components.Schemas["MetricsSummary"].Value.Properties)) {
		data[name] = 1.0
	}
	meta := map[string]any{"collectedAt": "2026-03-01T12:00:00Z", "windowSeconds": 0.0, "stale": false}
	good := map[string]any{"message": "ok", "data": data, "meta": meta}
	if err := schema.VisitJSON(good, openapi3.EnableJSONSchema2020()); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(map[string]any){
		"a text for a number": func(m map[string]any) { m["data"] = maps.Clone(data); m["data"].(map[string]any)["totalNodes"] = "6" },
		"a missing field": func(m map[string]any) {
			m["data"] = maps.Clone(data)
			delete(m["data"].(map[string]any), "totalNodes")
		},
		"a list":          func(m map[string]any) { m["data"] = []any{} },
		"null":            func(m map[string]any) { m["data"] = nil },
		"no meta":         func(m map[string]any) { delete(m, "meta") },
		"another message": func(m map[string]any) { m["message"] = "no" },
	} {
		bad := maps.Clone(good)
		change(bad)
		if err := schema.VisitJSON(bad, openapi3.EnableJSONSchema2020()); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func fullCluster() dashboard.Cluster {
	return dashboard.Cluster{
		ID: "a", Status: "online", Agents: []dashboard.Agent{{Instance: "agent-1"}}, Nodes: new(int64(6)),
		Sections: map[model.Section]dashboard.SectionState{model.SectionOverview: {Error: "x"}},
	}
}
