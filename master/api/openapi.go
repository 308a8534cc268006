package api

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"reflect"
	"regexp"
	"strings"
	"time"

	"github.com/atlhyper/observe/master/access"
	"github.com/atlhyper/observe/master/dashboard"
	"github.com/atlhyper/observe/master/envelope"
	"github.com/atlhyper/observe/master/openapi"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/shared/model"
)

// registered is a route as route was told of it: what the description is made of.
type registered struct {
	method, pattern string
	rule            rule
}

// serveOpenAPI describes the API.
func (a *API) serveOpenAPI(x *exchange, r *http.Request) error {
	if err := a.params(x, r).finish(); err != nil {
		return err
	}
	answer, err := a.description()
	if err != nil {
		return err
	}
	return a.sendForm(x, r, answer)
}

// describe makes the description as an answer: of the routes that there are, of the
// parameters that their readers read, and of the types that they answer with.
func (a *API) describe() (*dashboard.Answer, error) {
	text, err := a.document().JSON()
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(text)
	return dashboard.NewAnswer(dashboard.Content{Body: text, ETag: hex.EncodeToString(sum[:12])}, a.compressor), nil
}

func (a *API) document() *openapi.Document {
	schemas := openapi.NewSchemas(unitOf, map[reflect.Type]*openapi.Schema{
		reflect.TypeFor[model.Time](): {Type: openapi.Types{"string"}, Description: "A time of RFC 3339 in UTC; empty: none."},
		rawJSON():                     {},
	})
	errorBody := schemas.Of(reflect.TypeFor[failure]())
	schemas.Components["Failure"].Properties["code"] = &openapi.Schema{Type: openapi.Types{"string"}, Enum: codeNames(), Description: "What went wrong, for programs; more may come."}
	doc := &openapi.Document{
		Info: openapi.Info{
			Title: "AtlHyper Observe", Version: "2",
			Description: "Telemetry and Kubernetes objects of many clusters. Durations of parameters are Go's or Prometheus's: 15m, 6h, 7d. More fields may be added to every answer.",
		},
		Servers: []openapi.Server{{URL: "/"}},
		Tags: []openapi.Tag{
			{Name: tagDashboards, Description: "Answered from what agents published last, at once."},
			{Name: tagDetails, Description: "Run by the cluster's agent while the caller waits."},
			{Name: tagKubernetes, Description: "Objects of the Kubernetes API, as agents published them last."},
			{Name: tagClusters, Description: "What is known of clusters as a whole."},
			{Name: tagAround, Description: "The replica itself."},
		},
		Paths: map[string]openapi.PathItem{},
		Components: openapi.Components{
			Schemas: schemas.Components,
			Responses: map[string]*openapi.Response{"Failure": {
				Description: "Anything but a success; with Retry-After on 429 and 503.",
				Content:     map[string]openapi.MediaType{"application/json": {Schema: errorBody}},
			}},
		},
	}
	if a.anyone == nil {
		doc.Components.SecuritySchemes = map[string]openapi.SecurityScheme{
			"bearer":  {Type: "http", Scheme: "bearer"},
			"session": {Type: "apiKey", In: "cookie", Name: "__Host-" + sessionCookie, Description: "POST " + Prefix + "/session makes it of a token."},
		}
		doc.Security = []map[string][]any{{"bearer": {}}, {"session": {}}}
	}
	operations := a.operations(schemas)
	for _, route := range a.registered {
		described, known := operations[route.method+" "+route.pattern]
		if !known {
			panic("api: nothing describes " + route.method + " " + route.pattern)
		}
		item := doc.Paths[route.pattern]
		if item == nil {
			item = openapi.PathItem{}
			doc.Paths[route.pattern] = item
		}
		item[strings.ToLower(route.method)] = a.operation(route, &described)
	}
	return doc
}

var pathParameter = regexp.MustCompile(`\{(\w+)\}`)

// operation is a route with what describes it.
func (a *API) operation(route registered, d *described) *openapi.Operation {
	o := &openapi.Operation{
		OperationID: operationID(route), Summary: d.summary, Description: forWhom(route.rule.audience), Tags: []string{d.tag},
		RequestBody: d.body,
		Responses:   map[string]*openapi.Response{"default": {Ref: "#/components/responses/Failure"}, d.status(): d.answer()},
	}
	if route.rule.audience == anybody && a.anyone == nil {
		o.Security = &[]map[string][]any{}
	}
	for _, match := range pathParameter.FindAllStringSubmatch(route.pattern, -1) {
		o.Parameters = append(o.Parameters, openapi.Parameter{
			Name: match[1], In: "path", Required: true, Description: pathParameters()[match[1]], Schema: &openapi.Schema{Type: openapi.Types{"string"}},
		})
	}
	known := a.queryParameters()
	for _, name := range a.readBy(d.reads) {
		p, ok := known[name]
		if !ok {
			panic("api: nothing describes the parameter " + name)
		}
		if special, ok := d.special[name]; ok {
			p = special
		}
		p.Name, p.In = name, "query"
		o.Parameters = append(o.Parameters, p)
	}
	return o
}

// readBy are the names of the parameters that a reader reads, by letting it read.
func (a *API) readBy(read func(*params)) []string {
	if read == nil {
		return nil
	}
	x := &exchange{caller: access.Anyone(), endpoint: a.none}
	p := a.params(x, &http.Request{URL: &url.URL{}, Header: http.Header{}, Body: http.NoBody})
	p.now = func(key.Cluster) time.Time { return time.Unix(0, 0) }
	read(p)
	return p.known
}

// operationID is the method and the path as one word: getObserveTracesById.
func operationID(route registered) string {
	var id strings.Builder
	id.WriteString(strings.ToLower(route.method))
	for part := range strings.FieldsFuncSeq(strings.TrimPrefix(route.pattern, Prefix), func(r rune) bool { return strings.ContainsRune("/-.", r) }) {
		if name, ok := strings.CutPrefix(part, "{"); ok {
			part = "by" + strings.ToUpper(name[:1]) + strings.TrimSuffix(name[1:], "}")
		}
		id.WriteString(strings.ToUpper(part[:1]))
		id.WriteString(part[1:])
	}
	return id.String()
}

func forWhom(who audience) string {
	switch who {
	case viewers:
		return "For callers with the role viewer."
	case operators:
		return "For callers with the role operator."
	case overseers:
		return "For callers who may see all clusters."
	case callers:
		return "For every caller that is known."
	default:
		return ""
	}
}

// described is what the tables say of a route.
type described struct {
	tag, summary string
	reads        func(*params)                // the query
	special      map[string]openapi.Parameter // parameters that are others here
	body         *openapi.Body
	data         *openapi.Schema // of a success, in an envelope; nil: see plain
	list         bool            // the meta is that of a list
	plain        string          // the type of an answer without an envelope; "" with data nil: none
	schema       *openapi.Schema // of such an answer
}

func (d *described) status() string {
	if d.data == nil && d.plain == "" {
		return "204"
	}
	return "200"
}

func (d *described) answer() *openapi.Response {
	switch {
	case d.plain != "":
		return &openapi.Response{Description: "OK", Content: map[string]openapi.MediaType{d.plain: {Schema: d.schema}}}
	case d.data == nil:
		return &openapi.Response{Description: "Done"}
	}
	meta := "Meta"
	if d.list {
		meta = "ListMeta"
	}
	return &openapi.Response{Description: "OK", Content: map[string]openapi.MediaType{"application/json": {Schema: &openapi.Schema{
		Type: openapi.Types{"object"}, Required: []string{"message", "data", "meta"},
		Properties: map[string]*openapi.Schema{"message": {Const: "ok"}, "data": d.data, "meta": openapi.Ref(meta)},
	}}}}
}

func metaTypes(schemas *openapi.Schemas) {
	schemas.Of(reflect.TypeFor[envelope.Meta]())
	schemas.Of(reflect.TypeFor[envelope.ListMeta]())
}
