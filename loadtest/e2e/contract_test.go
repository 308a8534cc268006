package e2e_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// shape is what the HTTP contract says of one endpoint's data: the fields of an
// object (or of each element of a list) and their JSON types, spelled as the
// contract spells them. "[]name" is the fields of the elements of the list name,
// "name" those of the object name. Types: s text, f number, i whole number,
// b bool, t time, [] list, {} object. A field with "?" may be absent.
type shape map[string]string

const (
	pointFields  = "timestamp:t value:f"
	statusFields = "code:s count:i"
)

// shapes are transcribed from the contract, not from the code.
func shapes() map[string]shape {
	node := shape{
		"": "nodeName:s nodeIP:s timestamp:t cpu:{} memory:{} disks:[] networks:[] temperature:{} psi:{} tcp:{} " +
			"system:{} vmstat:{} softnet:{} kernel?:s uptime?:i",
		"cpu":    "usagePct:f userPct:f systemPct:f iowaitPct:f load1:f load5:f load15:f cores:i freqHz?:[] unknown?:b",
		"memory": "totalBytes:i availableBytes:i freeBytes:i cachedBytes:i buffersBytes:i usagePct:f swapTotalBytes:i swapFreeBytes:i swapUsagePct:f",
		"[]disks": "device:s mountPoint:s fsType:s totalBytes:i availBytes:i usagePct:f readBytesPerSec:f writeBytesPerSec:f " +
			"readIOPS:f writeIOPS:f ioUtilPct:f",
		"[]networks": "interface:s up:b speedBps:i mtu:i rxBytesPerSec:f txBytesPerSec:f rxPktPerSec:f txPktPerSec:f " +
			"rxErrPerSec:f txErrPerSec:f rxDropPerSec:f txDropPerSec:f",
		"temperature": "cpuTempC:f cpuMaxC:f cpuCritC:f sensors:[]",
		"psi":         "cpuSomePct:f memSomePct:f memFullPct:f ioSomePct:f ioFullPct:f",
		"tcp":         "currEstab:i alloc:i inUse:i timeWait:i socketsUsed:i",
		"system":      "conntrackEntries:i conntrackLimit:i filefdAllocated:i filefdMax:i entropyBits:i",
		"vmstat":      "pgFaultPerSec:f pgMajFaultPerSec:f pswpInPerSec:f pswpOutPerSec:f",
		"softnet":     "droppedPerSec:f squeezedPerSec:f",
	}
	return map[string]shape{
		"/observe/metrics/summary": {"": "totalNodes:i onlineNodes:i avgCpuPct:f avgMemPct:f maxCpuPct:f maxMemPct:f maxCpuTemp:f"},
		"/observe/metrics/nodes":   node,
		"/observe/traces/services": {"": "name:s namespace:s environment?:s spanCount:i errorCount:i successRate:f avgDurationMs:f p50Ms:f p99Ms:f rps:f"},
		"/observe/traces/topology": {
			"": "nodes:[] edges:[]", "[]nodes": "id:s name:s namespace:s type:s status:s rps:f successRate:f p99Ms:f",
			"[]edges": "source:s target:s callCount:i avgMs:f errorRate:f",
		},
		"/observe/slo/summary": {"": "totalServices:i healthyServices:i warningServices:i criticalServices:i avgSuccessRate:f totalRps:f avgP99Ms:f"},
		"/observe/slo/ingress": {
			"": "serviceKey:s displayName:s rps:f successRate:f errorRate:f p50Ms:f p90Ms:f p95Ms:f p99Ms:f avgMs:f " +
				"statusCodes:[] methods:[] latencyBuckets:[] totalRequests:i totalErrors:i",
			"[]statusCodes": statusFields, "[]methods": "method:s count:i", "[]latencyBuckets": "le:f count:i",
		},
		"/observe/slo/services": {
			"": "namespace:s name:s rps:f successRate:f p50Ms:f p90Ms:f p95Ms:f p99Ms:f avgMs:f mtlsEnabled:b mtlsRate:f " +
				"statusCodes:[] latencyBuckets:[]",
			"[]statusCodes": statusFields, "[]latencyBuckets": "le:f count:i",
		},
		"/observe/slo/edges": {"": "srcNamespace:s srcName:s dstNamespace:s dstName:s rps:f successRate:f avgMs:f p99Ms:f"},
		"/observe/overview": {"": "totalServices:i healthyServices:i totalRps:f avgSuccessRate:f avgP99Ms:f ingressServices:i " +
			"ingressAvgRps:f meshServices:i meshAvgMtls:f monitoredNodes:i avgCpuPct:f avgMemPct:f maxCpuPct:f maxMemPct:f"},
		"/observe/metrics/nodes/10.0.1.11": node,
		"/observe/metrics/nodes/10.0.1.11/series?metric=cpu": {
			"": "metric:s unit:s points:[] series:[]", "[]points": pointFields, "[]series": "labels:{} points:[]",
		},
		"/observe/traces?has_error=true": {"": "traceId:s rootService:s rootOperation:s services:[] durationMs:f spanCount:i serviceCount:i " +
			"hasError:b errorType?:s errorMessage?:s timestamp:t"},
		"/observe/traces/{failed}": {
			"": "traceId:s durationMs:f serviceCount:i spanCount:i spans:[]",
			"[]spans": "timestamp:t traceId:s spanId:s parentSpanId:s spanName:s spanKind:s serviceName:s duration:i durationMs:f " +
				"statusCode:s statusMessage:s http?:{} db?:{} resource:{} events:[] error?:{}",
			"[]spans.http":     "method:s route?:s url?:s statusCode?:i server?:s serverPort?:i",
			"[]spans.db":       "system:s name?:s operation?:s table?:s statement?:s",
			"[]spans.[]events": "timestamp:t name:s attributes:{}",
			"[]spans.error":    "type:s message:s stacktrace?:s",
		},
		"/observe/logs/query": {
			"": "logs:[] total:i facets:{}",
			"[]logs": "timestamp:t traceId:s spanId:s severity:s severityNum:i serviceName:s body:s scopeName:s " +
				"attributes:{} resource:{}",
			"facets": "services:[] severities:[] scopes:[]", "facets.[]services": "value:s count:i",
		},
		"/observe/slo/timeseries?service=shop/cart": {"": "namespace?:s name:s points:[]", "[]points": "timestamp:t rps:f successRate:f errorRate:f p50Ms:f p99Ms:f"},
	}
}

// testContract checks names and types of all 14 endpoints and of the overview.
func testContract(t *testing.T, s *stack, c cluster) { //nolint:thelper // the body of a subtest
	failed := s.failedTrace(t)
	for path, want := range shapes() {
		at := strings.ReplaceAll(path, "{failed}", failed)
		endpoint, rest, _ := strings.Cut(at, "?")
		params := []string{"cluster_id", c.id}
		for pair := range strings.SplitSeq(rest, "&") {
			if name, value, ok := strings.Cut(pair, "="); ok {
				params = append(params, name, value)
			}
		}
		var a answer
		if endpoint == "/observe/logs/query" {
			a = s.masters[0].post(t, endpoint, map[string]any{"cluster_id": c.id, "since": "1h"})
		} else {
			a = s.masters[0].get(t, endpoint, params...)
		}
		a.ok(t, path)
		var data any
		if err := json.Unmarshal(a.Data, &data); err != nil {
			t.Fatal(err)
		}
		for part, fields := range want {
			seen := checkPart(t, path, data, part, fields)
			if seen == 0 {
				t.Errorf("%s: nothing at %q to look at", path, part)
			}
		}
	}
}

// checkPart goes to a part of the data and checks each object there; it returns
// how many it saw.
func checkPart(t *testing.T, path string, data any, part, fields string) int {
	t.Helper()
	if list, ok := data.([]any); ok {
		seen := 0
		for _, element := range list {
			seen += checkPart(t, path, element, part, fields)
		}
		return seen
	}
	object, ok := data.(map[string]any)
	if !ok {
		t.Errorf("%s: %T where an object should be", path, data)
		return 1
	}
	if part == "" {
		checkFields(t, path, object, fields)
		return 1
	}
	first, rest, _ := strings.Cut(part, ".")
	child, there := object[strings.TrimPrefix(first, "[]")]
	if !there {
		return 0
	}
	return checkPart(t, path, child, rest, fields)
}

func checkFields(t *testing.T, path string, object map[string]any, fields string) {
	t.Helper()
	left := slices.Collect(maps.Keys(object))
	for field := range strings.FieldsSeq(fields) {
		name, kind, _ := strings.Cut(field, ":")
		name, optional := strings.CutSuffix(name, "?")
		value, there := object[name]
		if !there && !optional {
			t.Errorf("%s: no field %s", path, name)
		}
		if there && !isKind(value, kind) {
			t.Errorf("%s: %s is %v, want type %s of the contract", path, name, value, kind)
		}
		left = slices.DeleteFunc(left, func(n string) bool { return n == name })
	}
	if len(left) > 0 {
		t.Logf("%s: fields beyond the contract: %q", path, left)
	}
}

func isKind(value any, kind string) bool {
	switch v := value.(type) {
	case string:
		_, err := time.Parse(time.RFC3339Nano, v)
		return kind == "s" || (kind == "t" && err == nil && strings.HasSuffix(v, "Z"))
	case float64:
		return kind == "f" || (kind == "i" && v == float64(int64(v)))
	case bool:
		return kind == "b"
	case []any:
		return kind == "[]"
	case map[string]any:
		return kind == "{}"
	}
	return false
}

// failedTrace is the id of a trace with an error.
func (s *stack) failedTrace(t *testing.T) string {
	t.Helper()
	for _, id := range s.rows.TraceIDs() {
		trace, _ := s.rows.Trace(id)
		for _, span := range trace.Spans {
			if span.Error != nil {
				return id
			}
		}
	}
	t.Fatal("the rows have no trace with an error")
	return ""
}

// testRefusals reaches the errors that need no fault.
func testRefusals(t *testing.T, s *stack, c cluster) { //nolint:thelper // the body of a subtest
	for _, test := range []struct {
		path   string
		params []string
		status int
		code   string
		names  string // what the sentence must name
	}{
		{"/observe/metrics/summary", nil, http.StatusBadRequest, "bad_request", "cluster_id"},
		{"/observe/metrics/summary", []string{"cluster_id", "Not A Name"}, http.StatusBadRequest, "bad_request", "cluster_id"},
		{"/observe/metrics/summary", []string{"cluster_id", "nowhere"}, http.StatusNotFound, "cluster_unknown", "nowhere"},
		{"/observe/metrics/nodes/10.0.1.11", []string{"cluster_id", "nowhere"}, http.StatusNotFound, "cluster_unknown", "nowhere"},
		{"/observe/metrics/nodes/nonode", []string{"cluster_id", c.id}, http.StatusNotFound, "not_found", "nonode"},
		{"/observe/metrics/nodes/nonode/series", []string{"cluster_id", c.id, "metric", "cpu"}, http.StatusNotFound, "not_found", "nonode"},
		{"/observe/metrics/nodes/10.0.1.11/series", []string{"cluster_id", c.id}, http.StatusBadRequest, "bad_request", "metric"},
		{"/observe/slo/timeseries", []string{"cluster_id", c.id, "service", "noservice"}, http.StatusNotFound, "not_found", "noservice"},
		{"/observe/slo/timeseries", []string{"cluster_id", c.id}, http.StatusBadRequest, "bad_request", "service"},
		{"/observe/traces", []string{"cluster_id", c.id, "limit", "1001"}, http.StatusBadRequest, "bad_request", "limit"},
		{"/observe/traces", []string{"cluster_id", c.id, "time_range", "31d"}, http.StatusBadRequest, "bad_request", "time_range"},
		{"/observe/traces", []string{"cluster_id", c.id, "cursor", "???"}, http.StatusBadRequest, "bad_request", "cursor"},
		{"/clusters/nowhere", nil, http.StatusNotFound, "cluster_unknown", "nowhere"},
	} {
		what := fmt.Sprint(test.path, " ", test.params)
		for _, m := range s.masters {
			a := m.get(t, test.path, test.params...)
			a.refused(t, what, test.status, test.code)
			if !strings.Contains(a.Error, test.names) {
				t.Errorf("%s: the sentence %q does not name %s", what, a.Error, test.names)
			}
		}
	}
	s.masters[0].post(t, "/observe/logs/query", map[string]any{"cluster_id": c.id, "since": "1h", "cursor": "???"}).
		refused(t, "logs with a bad cursor", http.StatusBadRequest, "bad_request")
	s.masters[0].post(t, "/observe/logs/query", map[string]any{"cluster_id": c.id, "limit": 501}).
		refused(t, "logs with a limit of 501", http.StatusBadRequest, "bad_request")
}
