package charts

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Bad values are refused by an error that names them, whatever else is right.
func TestRefused(t *testing.T) {
	needHelm(t)
	for values, field := range map[string]string{
		"unknown: 1":                                                                                  "unknown",
		"master: {replica: 2}":                                                                        "replica",
		"agent: {kubernetes: {secret: false}}":                                                        "/agent/kubernetes",
		"master: {config: {maxRanges: 7d}}":                                                           "maxRanges",
		"master: {config: {drainDelay: 1s}}":                                                          "drainDelay",
		"master: {config: {maxRange: a week}}":                                                        "/master/config/maxRange",
		"master: {config: {maxWaiters: many}}":                                                        "/master/config/maxWaiters",
		"master: {replicas: -1}":                                                                      "/master/replicas",
		"master: {replicas: two}":                                                                     "/master/replicas",
		"master: {enabled: false}\nagent: {enabled: false}":                                           "/enabled",
		"master: {auth: {mode: open}}":                                                                "/master/auth/mode",
		"master: {auth: {mode: none}}":                                                                "/master/auth/insecureNoAuth",
		`master: {auth: {tokensSecret: {name: ""}}}`:                                                  "/master/auth/tokensSecret/name",
		"master: {auth: {mode: oidc}}":                                                                "/master/auth/oidc/configMap/name",
		`redis: {url: ""}`:                                                                            "/redis/url",
		"redis: {url: http://redis}":                                                                  "/redis/url",
		"master: {drain: {timeoutSeconds: 0}}":                                                        "/master/drain/timeoutSeconds",
		"master: {service: {type: ExternalName}}":                                                     "/master/service/type",
		"master: {service: {port: 70000}}":                                                            "/master/service/port",
		"master: {ingress: {enabled: true}}":                                                          "/master/ingress/hosts",
		"master: {ingress: {hosts: [Not_A_Host]}}":                                                    "/master/ingress/hosts/0",
		"master: {httpRoute: {enabled: true}}":                                                        "/master/httpRoute/parentRefs",
		"master: {podDisruptionBudget: {maxUnavailable: 200%}}":                                       "/master/podDisruptionBudget/maxUnavailable",
		"master: {topologySpread: {whenUnsatisfiable: Maybe}}":                                        "/master/topologySpread/whenUnsatisfiable",
		"master: {networkPolicy: {egressPorts: []}}":                                                  "/master/networkPolicy/egressPorts",
		"master: {networkPolicy: {egressPorts: [redis]}}":                                             "/master/networkPolicy/egressPorts/0",
		"master: {image: {digest: latest}}":                                                           "/master/image/digest",
		"image: {pullPolicy: Sometimes}":                                                              "/image/pullPolicy",
		"imagePullSecrets: [registry]":                                                                "/imagePullSecrets/0",
		"agent: {clusterId: Prod_EU}":                                                                 "/agent/clusterId",
		`agent: {clickhouse: {dsnSecret: {name: ""}}}`:                                                "/agent/clickhouse/dsnSecret/name",
		"agent: {kubernetes: {enabled: false}}":                                                       "/agent/clusterId",
		"agent: {serviceAccount: {create: false}}":                                                    "/agent/serviceAccount/name",
		"redis: {tls: {caConfigMap: {name: a}, caSecret: {name: b}}}":                                 "/redis/tls",
		"monitoring: {serviceMonitor: {interval: 30}}":                                                "/monitoring/serviceMonitor/interval",
		"monitoring: {serviceMonitor: {interval: 9s}}":                                                "/monitoring/serviceMonitor/interval",
		"monitoring: {serviceMonitor: {interval: 500ms}}":                                             "/monitoring/serviceMonitor/interval",
		"monitoring: {serviceMonitor: {interval: 1.5m}}":                                              "/monitoring/serviceMonitor/interval",
		"monitoring: {serviceMonitor: {scrapeTimeout: 5s}}":                                           "/monitoring/serviceMonitor/scrapeTimeout",
		"monitoring: {serviceMonitor: {honorLabels: always}}":                                         "/monitoring/serviceMonitor/honorLabels",
		"master: {service: {externalTrafficPolicy: Local}}":                                           "/master/service/externalTrafficPolicy",
		"commonLabels: {app.kubernetes.io/name: other}":                                               "/commonLabels",
		"commonLabels: {helm.sh/chart: other}":                                                        "/commonLabels",
		"master: {podLabels: {app.kubernetes.io/component: agent}}":                                   "/master/podLabels",
		"agent: {podLabels: {app.kubernetes.io/instance: other}}":                                     "/agent/podLabels",
		"monitoring: {serviceMonitor: {labels: {helm.sh/chart: a}}}":                                  "/monitoring/serviceMonitor/labels",
		"master: {extraArgs: [-x]}":                                                                   "/master/extraArgs/0",
		"master: {extraEnv: [{value: x}]}":                                                            "/master/extraEnv/0",
		"agent: {extraEnv: [{name: A, valueFrom: {secret: x}}]}":                                      "/agent/extraEnv/0/valueFrom",
		"agent: {extraEnv: [{name: A, value: b, valueFrom: {fieldRef: {fieldPath: metadata.name}}}]}": "/agent/extraEnv/0",

		// Secrets.
		"redis: {url: 'redis://user:hunter2@redis:6379'}":                               "/redis/url",
		"redis: {password: hunter2}":                                                    "password",
		"master: {redis: {password: hunter2}}":                                          "password",
		"master: {redis: {username: 'user:hunter2'}}":                                   "/master/redis/username",
		"master: {redis: {passwordSecret: {value: hunter2}}}":                           "/master/redis/passwordSecret",
		"master: {auth: {tokens: [hunter2]}}":                                           "tokens",
		"master: {config: {redisPassword: hunter2}}":                                    "redisPassword",
		"agent: {clickhouse: {dsn: 'clickhouse://u:hunter2@h'}}":                        "dsn",
		"agent: {config: {clickhouse: 'clickhouse://u:hunter2@h'}}":                     "clickhouse",
		"master: {extraArgs: [--redis-password=hunter2]}":                               "/master/extraArgs/0",
		"master: {extraArgs: [--redis-sentinel-password=hunter2]}":                      "/master/extraArgs/0",
		"master: {extraArgs: ['--redis=redis://:hunter2@redis']}":                       "/master/extraArgs/0",
		"agent: {extraArgs: ['--clickhouse=http://h/?password=hunter2']}":               "/agent/extraArgs/0",
		"agent: {extraArgs: ['--other=https://u:hunter2@h']}":                           "/agent/extraArgs/0",
		"agent: {extraEnv: [{name: ATLHYPER_CLICKHOUSE, value: hunter2}]}":              "/agent/extraEnv/0",
		"agent: {extraEnv: [{name: ATLHYPER_REDIS, value: 'redis://h'}]}":               "/agent/extraEnv/0",
		"agent: {extraEnv: [{name: ATLHYPER_REDIS_PASSWORD, value: hunter2}]}":          "/agent/extraEnv/0",
		"master: {extraEnv: [{name: OTEL_EXPORTER_OTLP_HEADERS, value: 'a=hunter2'}]}":  "/master/extraEnv/0",
		"master: {extraEnv: [{name: HTTPS_PROXY, value: 'http://u:hunter2@proxy:80'}]}": "/master/extraEnv/0/value",
	} {
		bad := filepath.Join(t.TempDir(), "bad.yaml")
		if err := os.WriteFile(bad, []byte(values), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := render(t, "testdata/base.yaml", bad)
		if err == nil || !strings.Contains(err.Error(), "schema") || !strings.Contains(err.Error(), field) {
			t.Errorf("%s\nis not refused by an error that names %s: %v", values, field, err)
		}
	}
}

// Values that look like those that are refused.
func TestTaken(t *testing.T) {
	needHelm(t)
	for _, values := range []string{
		"{}",
		"global: {any: thing}",
		"redis: {url: 'redis-sentinel://a:1,b:2/primary?db=1'}",
		"redis: {url: 'unix:///run/redis.sock'}",
		"master: {extraEnv: [{name: ATLHYPER_REDIS_PASSWORD_FILE, value: /run/pw}]}",
		"master: {extraEnv: [{name: OTEL_EXPORTER_OTLP_ENDPOINT, value: 'https://collector:4318'}]}",
		"master: {extraArgs: [--redis-password-file=/run/pw, --insecure-admin]}",
		"master: {config: {maxRange: 1d12h}}",
		"monitoring: {serviceMonitor: {interval: 10s, scrapeTimeout: 7s}}",
		"master: {service: {type: NodePort, externalTrafficPolicy: Cluster}}",
		"commonLabels: {app: a, example.com/name: b}",
		"podSecurityContext: {runAsUser: null, runAsGroup: null, fsGroup: null}",
		"master: {autoscaling: {enabled: true, targetCPUUtilizationPercentage: null, targetMemoryUtilizationPercentage: 70}}",
		"agent: {clusterId: '', serviceAccount: {create: false, name: mine}}",
	} {
		good := filepath.Join(t.TempDir(), "good.yaml")
		if err := os.WriteFile(good, []byte(values), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := render(t, "testdata/base.yaml", good); err != nil {
			t.Errorf("%s\nis refused: %v", values, err)
		}
	}
}

// schemaNode is what the tests walk of the schema.
type schemaNode struct {
	Ref        string                 `json:"$ref"`
	Type       any                    `json:"type"`
	Properties map[string]*schemaNode `json:"properties"`
	Additional any                    `json:"additionalProperties"`
}

func valuesSchema(t *testing.T) (root *schemaNode, resolve func(*schemaNode) *schemaNode) {
	t.Helper()
	text, err := files.ReadFile("atlhyper/values.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var all struct {
		schemaNode
		Definitions map[string]*schemaNode `json:"definitions"`
	}
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	return &all.schemaNode, func(n *schemaNode) *schemaNode {
		if name, ok := strings.CutPrefix(n.Ref, "#/definitions/"); ok {
			return all.Definitions[name]
		}
		return n
	}
}

// Every value of the schema stands in values.yaml, and the reverse: nothing can be set
// that is not documented. What config takes are flags, which the READMEs name.
func TestValuesAreThoseOfTheSchema(t *testing.T) {
	t.Parallel()
	text, err := files.ReadFile("atlhyper/values.yaml")
	if err != nil {
		t.Fatal(err)
	}
	documents, err := decode(strings.NewReader(string(text)))
	if err != nil || len(documents) != 1 {
		t.Fatalf("%d documents, %v", len(documents), err)
	}
	root, resolve := valuesSchema(t)
	var walk func(at string, n *schemaNode, value any)
	walk = func(at string, n *schemaNode, value any) {
		n = resolve(n)
		values, isObject := value.(map[string]any)
		if len(n.Properties) == 0 || !isObject {
			return
		}
		if n.Additional != false {
			t.Errorf("%s takes what it does not know", at)
		}
		if strings.HasSuffix(at, "/config") {
			return
		}
		known := slices.Sorted(maps.Keys(n.Properties))
		known = slices.DeleteFunc(known, func(name string) bool { return at == "" && name == "global" })
		if diff := cmp.Diff(known, slices.Sorted(maps.Keys(values))); diff != "" && len(values) > 0 {
			t.Errorf("%s (-schema +values.yaml)\n%s", at, diff)
		}
		for name, property := range n.Properties {
			walk(at+"/"+name, property, values[name])
		}
	}
	walk("", root, documents[0].Object)
}

// A flag that config takes has a value in the variant "everything", so that the commands'
// tests parse it.
func TestEverythingHasAllFlags(t *testing.T) {
	t.Parallel()
	text, err := files.ReadFile("testdata/values/everything.yaml")
	if err != nil {
		t.Fatal(err)
	}
	documents, err := decode(strings.NewReader(string(text)))
	if err != nil || len(documents) != 1 {
		t.Fatalf("%d documents, %v", len(documents), err)
	}
	for _, component := range []string{"master", "agent"} {
		want, err := Config(component)
		if err != nil || len(want) == 0 {
			t.Fatalf("%s: %d flags, %v", component, len(want), err)
		}
		values, _ := documents[0].Object[component].(map[string]any)
		config, _ := values["config"].(map[string]any)
		if diff := cmp.Diff(want, slices.Sorted(maps.Keys(config))); diff != "" {
			t.Errorf("%s.config (-schema +everything.yaml)\n%s", component, diff)
		}
	}
}
