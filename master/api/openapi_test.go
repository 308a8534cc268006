package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
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
	"github.com/santhosh-tekuri/jsonschema/v6"

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

// description is what the tests read of it.
type description struct {
	Paths      map[string]map[string]operation // by path and method
	Components struct {
		Schemas map[string]struct{ Properties map[string]any }
	}
}

type operation struct {
	OperationID, Summary string
	Parameters           []struct{ Name, In string }
	RequestBody          struct {
		Content map[string]struct {
			Schema struct{ Properties map[string]any }
		}
	}
}

// describedAPI is an API with every route, and its description.
func describedAPI(t *testing.T, b *backend) (a *api.API, text []byte, doc description) {
	t.Helper()
	a = guarded(t, b, func(c *api.Config) {
		c.ServeMetrics = promhttp.HandlerFor(prometheus.NewRegistry(), promhttp.HandlerOpts{})
	})
	w := do(t, a, http.MethodGet, "/openapi.json", nil)
	if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "application/json; charset=utf-8" {
		t.Fatalf("%d %v", w.Code, w.Header())
	}
	if err := json.Unmarshal(w.Body.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	return a, w.Body.Bytes(), doc
}

// each calls fn with every operation; methods are in upper case.
func (d description) each(fn func(method, path string, o operation)) {
	for path, item := range d.Paths {
		for method, o := range item {
			fn(strings.ToUpper(method), path, o)
		}
	}
}

func TestTheDescriptionIsOne(t *testing.T) {
	t.Parallel()
	a, text, _ := describedAPI(t, detailed(t))
	doc, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		t.Fatal(err)
	}
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
	a, _, doc := describedAPI(t, detailed(t))
	described := map[string]bool{}
	doc.each(func(method, path string, _ operation) { described[method+" "+path] = true })
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
	doc.each(func(method, path string, o operation) {
		if ids[o.OperationID] || o.Summary == "" {
			t.Errorf("%s %s: id %q, summary %q", method, path, o.OperationID, o.Summary)
		}
		ids[o.OperationID] = true
	})
}

// Asked for what is no parameter, an endpoint names those that it has.
func TestTheDescriptionHasEveryParameter(t *testing.T) {
	t.Parallel()
	a, _, doc := describedAPI(t, detailed(t))
	doc.each(func(method, path string, o operation) {
		if method != http.MethodGet || !strings.HasPrefix(path, api.Prefix) {
			return
		}
		var described []string
		for _, p := range o.Parameters {
			if p.In == "query" {
				described = append(described, p.Name)
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
	})
	const logs = api.Prefix + "/observe/logs/query"
	for name := range doc.Paths[logs]["post"].RequestBody.Content["application/json"].Schema.Properties {
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
		a, text, doc := describedAPI(t, b)
		schemas, checked := newAnswerSchemas(t, text), 0
		doc.each(func(method, path string, o operation) {
			if checkAnswer(t, a, schemas, name, method, path, o) {
				checked++
			}
		})
		if checked < 55 {
			t.Errorf("%s: only %d answers were held against their description", name, checked)
		}
	}
}

func isClusterWide(s model.Section) bool {
	return slices.ContainsFunc(resources.Kinds(), func(k *resources.Kind) bool { return k.Section == s && !k.Namespaced })
}

// answerSchemas are the schemas of all answers, each made once.
type answerSchemas struct{ compiler *jsonschema.Compiler }

func newAnswerSchemas(t *testing.T, text []byte) answerSchemas {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("/openapi.json", doc); err != nil {
		t.Fatal(err)
	}
	return answerSchemas{compiler}
}

// check holds an answer against the schema of its status; a failure's is the same for all.
func (s answerSchemas) check(method, path string, w *httptest.ResponseRecorder) error {
	pointer := "/components/schemas/Failure"
	if w.Code == http.StatusOK {
		pointer = "/paths/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(path) + "/" + strings.ToLower(method) +
			"/responses/200/content/application~1json/schema"
	}
	schema, err := s.compiler.Compile((&url.URL{Path: "/openapi.json", Fragment: pointer}).String())
	if err != nil {
		return err
	}
	answer, err := jsonschema.UnmarshalJSON(bytes.NewReader(w.Body.Bytes()))
	if err != nil {
		return err
	}
	return schema.Validate(answer)
}

// checkAnswer holds one answer against its description; false when it is no JSON.
func checkAnswer(t *testing.T, a http.Handler, schemas answerSchemas, name, method, path string, o operation) bool {
	t.Helper()
	if strings.HasSuffix(path, "/stream") || path == "/metrics" || method == http.MethodDelete {
		return false
	}
	target, body := strings.NewReplacer("{namespace}", "x", "{name}", "x", "{id}", strings.Repeat("0a", 16)).Replace(path), ""
	given := map[string]string{"cluster_id": "a", "metric": "cpu", "service": "cart"}
	query := []string{}
	for _, p := range o.Parameters {
		if value := given[p.Name]; p.In == "query" && value != "" {
			query = append(query, p.Name+"="+value)
		}
	}
	if method == http.MethodPost {
		body = `{"cluster_id":"a"}`
	}
	r := httptest.NewRequestWithContext(t.Context(), method, target+"?"+strings.Join(query, "&"), strings.NewReader(body))
	r.Header = as("alice")
	w := httptest.NewRecorder()
	a.ServeHTTP(w, r)
	if w.Code != http.StatusOK && name == "full" {
		t.Errorf("%s %s: %d %s", method, path, w.Code, w.Body)
	}
	if err := schemas.check(method, path, w); err != nil {
		t.Errorf("%s: %s %s: %v\n%.600s", name, method, path, err, w.Body)
	}
	return true
}

// Schemas that allow everything would let every answer pass.
func TestTheDescriptionRefusesOtherAnswers(t *testing.T) {
	t.Parallel()
	_, text, doc := describedAPI(t, detailed(t))
	schemas := newAnswerSchemas(t, text)
	var fields []string
	for name := range doc.Components.Schemas["MetricsSummary"].Properties {
		fields = append(fields, fmt.Sprintf("%q:1", name))
	}
	data, meta := "{"+strings.Join(fields, ",")+"}", `{"collectedAt":"2026-03-01T12:00:00Z","windowSeconds":0,"stale":false}`
	for body, want := range map[string]bool{
		`{"message":"ok","data":` + data + `,"meta":` + meta + `}`:                                                           true,
		`{"message":"ok","data":` + strings.Replace(data, `"totalNodes":1`, `"totalNodes":"6"`, 1) + `,"meta":` + meta + `}`: false,
		`{"message":"ok","data":` + strings.Replace(data, `"totalNodes":1`, `"totalNodez":1`, 1) + `,"meta":` + meta + `}`:   false,
		`{"message":"ok","data":[],"meta":` + meta + `}`:                                                                     false,
		`{"message":"ok","data":null,"meta":` + meta + `}`:                                                                   false,
		`{"message":"ok","data":` + data + `}`:                                                                               false,
		`{"message":"no","data":` + data + `,"meta":` + meta + `}`:                                                           false,
	} {
		w := httptest.NewRecorder()
		if _, err := w.WriteString(body); err != nil {
			t.Fatal(err)
		}
		if err := schemas.check(http.MethodGet, api.Prefix+"/observe/metrics/summary", w); (err == nil) != want {
			t.Errorf("%s: %v", body, err)
		}
	}
}

func fullCluster() dashboard.Cluster {
	return dashboard.Cluster{
		ID: "a", Status: "online", Agents: []dashboard.Agent{{Instance: "agent-1"}}, Nodes: new(int64(6)),
		Sections: map[model.Section]dashboard.SectionState{model.SectionOverview: {Error: "x"}},
	}
}
