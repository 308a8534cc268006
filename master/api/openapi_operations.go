package api

import (
	"encoding/json"
	"net/http"
	"reflect"
	"strings"

	"github.com/atlhyper/observe/master/dashboard"
	"github.com/atlhyper/observe/master/openapi"
	"github.com/atlhyper/observe/master/resources"
	"github.com/atlhyper/observe/shared/detail"
	"github.com/atlhyper/observe/shared/model"
)

const (
	tagDashboards = "dashboards"
	tagDetails    = "details"
	tagKubernetes = "kubernetes"
	tagClusters   = "clusters"
	tagAround     = "around"
)

// operations describes every route, by method and pattern.
func (a *API) operations(schemas *openapi.Schemas) map[string]described {
	metaTypes(schemas)
	all := around(schemas)
	get := func(path string, d described) { all[http.MethodGet+" "+Prefix+path] = d }
	get("/clusters", described{tag: tagClusters, summary: "All clusters that were seen.", data: listOf(schemas, reflect.TypeFor[dashboard.Cluster]())})
	get("/clusters/{id}", described{tag: tagClusters, summary: "One cluster.", data: schemas.Of(reflect.TypeFor[dashboard.Cluster]())})
	get("/fleet", described{tag: tagClusters, summary: "All clusters at a glance.", data: listOf(schemas, reflect.TypeFor[dashboard.FleetCluster]())})
	get("/overview", described{
		tag: tagClusters, summary: "A cluster's page in one answer.", reads: (*params).readCluster, data: schemas.Of(reflect.TypeFor[clusterOverview]()),
	})
	get("/observe/stream", described{
		tag: tagDashboards, summary: "Sections as server-sent events, each when it changes: its name and the body of its endpoint; meta and error otherwise.",
		reads: func(p *params) { p.readStream() }, plain: "text/event-stream", schema: &openapi.Schema{Type: openapi.Types{"string"}},
	})
	for _, d := range dashboardRoutes() {
		get(d.path, described{
			tag: tagDashboards, summary: "Section " + string(d.section) + ".", data: schemas.Of(sectionTypes()[d.section]),
			reads: func(p *params) { p.readDashboard(d) },
		})
	}
	for _, kind := range resources.Kinds() {
		described, one := ofKind(schemas, kind)
		get("/"+kind.Path, described)
		path := "/{name}"
		if kind.Namespaced {
			path = "/{namespace}/{name}"
		}
		get("/"+kind.Path+path, one)
	}
	for _, d := range detailRoutes() {
		o := described{tag: tagDetails, summary: detailSummaries()[d.kind], data: schemas.Of(detailTypes()[d.kind]), reads: func(p *params) { p.readDetail(d) }}
		if d.method == http.MethodPost {
			o.reads, o.body = (*params).readTimeout, a.logsBodySchema()
		}
		all[d.method+" "+Prefix+d.path] = o
	}
	return all
}

// around are the routes that are about no cluster.
func around(schemas *openapi.Schemas) map[string]described {
	who := schemas.Of(reflect.TypeFor[session]())
	works := schemas.Of(reflect.TypeFor[probe]())
	return map[string]described{
		"GET /healthz":                  {tag: tagAround, summary: "Whether the process lives.", plain: "application/json", schema: works},
		"GET /readyz":                   {tag: tagAround, summary: "Whether requests should be sent here.", plain: "application/json", schema: works},
		"GET /metrics":                  {tag: tagAround, summary: "What the replica counts, for Prometheus.", plain: "text/plain", schema: &openapi.Schema{Type: openapi.Types{"string"}}},
		"GET /openapi.json":             {tag: tagAround, summary: "This description.", plain: "application/json", schema: &openapi.Schema{Type: openapi.Types{"object"}}},
		"GET " + Prefix + "/session":    {tag: tagAround, summary: "Who the caller is.", data: who},
		"POST " + Prefix + "/session":   {tag: tagAround, summary: "Puts the bearer token of the request into a cookie.", data: who},
		"DELETE " + Prefix + "/session": {tag: tagAround, summary: "Drops the cookie."},
	}
}

// ofKind describes the list of a kind, and one of its objects.
func ofKind(schemas *openapi.Schemas, kind *resources.Kind) (list, one described) {
	object := schemas.Of(sectionTypes()[kind.Section].Elem())
	sorts := make([]any, 0, 2*len(kind.Sorts()))
	for _, name := range kind.Sorts() {
		sorts = append(sorts, name, "-"+name)
	}
	list = described{
		tag: tagKubernetes, summary: "A page of the cluster's " + strings.ReplaceAll(kind.Path, "-", " ") + ".",
		reads: func(p *params) { p.readCluster(); p.listQuery(kind) }, data: &openapi.Schema{Type: openapi.Types{"array"}, Items: object}, list: true,
		special: map[string]openapi.Parameter{
			"sort": {Description: "What the list is sorted by; - in front turns it around.", Schema: &openapi.Schema{Type: openapi.Types{"string"}, Enum: sorts, Default: kind.DefaultSort()}},
			"limit": {
				Description: "The most objects of a page.",
				Schema:      &openapi.Schema{Type: openapi.Types{"integer"}, Minimum: new(1.0), Maximum: new(float64(resources.MaxLimit)), Default: resources.DefaultLimit},
			},
		},
	}
	one = described{tag: tagKubernetes, summary: "One " + kind.Noun + ".", reads: (*params).readCluster, data: object}
	return list, one
}

func listOf(schemas *openapi.Schemas, element reflect.Type) *openapi.Schema {
	return &openapi.Schema{Type: openapi.Types{"array"}, Items: schemas.Of(element)}
}

func rawJSON() reflect.Type { return reflect.TypeFor[json.RawMessage]() }

// logsBodySchema is that of the body of a log query, of the fields that are read.
func (a *API) logsBodySchema() *openapi.Body {
	known := a.queryParameters()
	schema := &openapi.Schema{Type: openapi.Types{"object"}, Properties: map[string]*openapi.Schema{}, Required: []string{"cluster_id"}}
	for name, target := range (&logsBody{}).fields() {
		field := &openapi.Schema{Type: openapi.Types{"string"}, Description: known[name].Description}
		if _, number := target.(*int64); number {
			field.Type = openapi.Types{"integer"}
		}
		schema.Properties[name] = field
	}
	return &openapi.Body{Required: true, Content: map[string]openapi.MediaType{"application/json": {Schema: schema}}}
}

func detailSummaries() map[detail.Kind]string {
	return map[detail.Kind]string{
		detail.KindNode:       "A node, as it is now.",
		detail.KindNodeSeries: "One metric of a node over time.",
		detail.KindTraces:     "Whole traces that have a span that matches.",
		detail.KindTrace:      "A trace with its spans; the first 10,000 of more.",
		detail.KindLogs:       "Log records, the newest first, with how many match and by what.",
		detail.KindSLOSeries:  "A service's level over time.",
	}
}

// detailTypes are what the kinds answer with.
func detailTypes() map[detail.Kind]reflect.Type {
	return map[detail.Kind]reflect.Type{
		detail.KindNode:       reflect.TypeFor[model.NodeMetrics](),
		detail.KindNodeSeries: reflect.TypeFor[model.NodeSeries](),
		detail.KindTraces:     reflect.TypeFor[[]model.TraceSummary](),
		detail.KindTrace:      reflect.TypeFor[model.Trace](),
		detail.KindLogs:       reflect.TypeFor[model.LogPage](),
		detail.KindSLOSeries:  reflect.TypeFor[model.SLOSeries](),
	}
}

// sectionTypes are the types of the sections.
func sectionTypes() map[model.Section]reflect.Type {
	return map[model.Section]reflect.Type{
		model.SectionOverview:            reflect.TypeFor[model.Overview](),
		model.SectionMetricsSummary:      reflect.TypeFor[model.MetricsSummary](),
		model.SectionMetricsNodes:        reflect.TypeFor[[]model.NodeMetrics](),
		model.SectionTracesServices:      reflect.TypeFor[[]model.Service](),
		model.SectionTracesTopology:      reflect.TypeFor[model.Topology](),
		model.SectionSLOSummary:          reflect.TypeFor[model.SLOSummary](),
		model.SectionSLOIngress:          reflect.TypeFor[[]model.IngressSLO](),
		model.SectionSLOServices:         reflect.TypeFor[[]model.MeshService](),
		model.SectionSLOEdges:            reflect.TypeFor[[]model.MeshEdge](),
		model.SectionKubeNodes:           reflect.TypeFor[[]model.KubeNode](),
		model.SectionKubePods:            reflect.TypeFor[[]model.KubePod](),
		model.SectionKubeDeployments:     reflect.TypeFor[[]model.KubeDeployment](),
		model.SectionKubeStatefulSets:    reflect.TypeFor[[]model.KubeStatefulSet](),
		model.SectionKubeDaemonSets:      reflect.TypeFor[[]model.KubeDaemonSet](),
		model.SectionKubeReplicaSets:     reflect.TypeFor[[]model.KubeReplicaSet](),
		model.SectionKubeJobs:            reflect.TypeFor[[]model.KubeJob](),
		model.SectionKubeCronJobs:        reflect.TypeFor[[]model.KubeCronJob](),
		model.SectionKubeServices:        reflect.TypeFor[[]model.KubeService](),
		model.SectionKubeIngresses:       reflect.TypeFor[[]model.KubeIngress](),
		model.SectionKubeNamespaces:      reflect.TypeFor[[]model.KubeNamespace](),
		model.SectionKubeConfigMaps:      reflect.TypeFor[[]model.KubeConfigMap](),
		model.SectionKubeSecrets:         reflect.TypeFor[[]model.KubeSecret](),
		model.SectionKubePVs:             reflect.TypeFor[[]model.KubePV](),
		model.SectionKubePVCs:            reflect.TypeFor[[]model.KubePVC](),
		model.SectionKubeResourceQuotas:  reflect.TypeFor[[]model.KubeResourceQuota](),
		model.SectionKubeLimitRanges:     reflect.TypeFor[[]model.KubeLimitRange](),
		model.SectionKubeNetworkPolicies: reflect.TypeFor[[]model.KubeNetworkPolicy](),
		model.SectionKubeServiceAccounts: reflect.TypeFor[[]model.KubeServiceAccount](),
		model.SectionKubeEvents:          reflect.TypeFor[[]model.KubeEvent](),
	}
}
