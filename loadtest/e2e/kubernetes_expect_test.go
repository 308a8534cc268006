package e2e_test

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

// object is a Kubernetes object as its API server sends it, or what masters show of one.
type object = map[string]any

// at is a member of members; nil where there is none.
func at(o any, path ...string) any {
	for _, name := range path {
		m, ok := o.(object)
		if !ok {
			return nil
		}
		o = m[name]
	}
	return o
}

func text(o any, path ...string) string {
	s, _ := at(o, path...).(string)
	return s
}

// number is 0 where there is none, as an API server leaves zeros out.
func number(o any, path ...string) float64 {
	n, _ := at(o, path...).(float64)
	return n
}

func elements(o any, path ...string) []object {
	list, _ := at(o, path...).([]any)
	out := make([]object, 0, len(list))
	for _, e := range list {
		if m, ok := e.(object); ok {
			out = append(out, m)
		}
	}
	return out
}

func keysOf(maps ...any) []any {
	out := []any{}
	for _, m := range maps {
		for k := range asObject(m) {
			out = append(out, k)
		}
	}
	slices.SortFunc(out, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	return out
}

func asObject(o any) object {
	m, _ := o.(object)
	return m
}

func name(o object) string {
	return text(o, "metadata", "namespace") + "/" + text(o, "metadata", "name")
}

func selectorText(o object, path ...string) string {
	var terms []string
	for k, v := range asObject(at(o, path...)) {
		terms = append(terms, fmt.Sprintf("%s=%v", k, v))
	}
	slices.Sort(terms)
	return strings.Join(terms, ",")
}

func imagesOf(o object, path ...string) []any {
	out := []any{}
	for _, c := range elements(o, path...) {
		out = append(out, c["image"])
	}
	return out
}

// expectation is one row of the table: a list, where its objects come from, and what
// must be shown of one, worked out from what the API server sends.
type expectation struct {
	list, api string
	fields    func(o object, all everything) object
}

// everything is what the API server has, by path.
type everything map[string][]object

func expectations() []expectation {
	same := func(paths map[string][]string) func(object, everything) object {
		return func(o object, _ everything) object {
			out := object{}
			for field, path := range paths {
				if v := at(o, path...); v != nil {
					out[field] = v
				}
			}
			return out
		}
	}
	template := []string{"spec", "template", "spec", "containers"}
	return []expectation{
		{"nodes", "/api/v1/nodes", nodeFields},
		{"pods", "/api/v1/pods", podFields},
		{"deployments", "/apis/apps/v1/deployments", func(o object, _ everything) object {
			return object{
				"replicas": number(o, "spec", "replicas"), "readyReplicas": number(o, "status", "readyReplicas"),
				"updatedReplicas": number(o, "status", "updatedReplicas"), "availableReplicas": number(o, "status", "availableReplicas"),
				"selector": selectorText(o, "spec", "selector", "matchLabels"), "images": imagesOf(o, template...),
			}
		}},
		{"statefulsets", "/apis/apps/v1/statefulsets", func(o object, _ everything) object {
			return object{
				"replicas": number(o, "spec", "replicas"), "readyReplicas": number(o, "status", "readyReplicas"),
				"serviceName": text(o, "spec", "serviceName"), "images": imagesOf(o, template...),
			}
		}},
		{"daemonsets", "/apis/apps/v1/daemonsets", func(o object, _ everything) object {
			return object{
				"desiredNumberScheduled": number(o, "status", "desiredNumberScheduled"), "numberReady": number(o, "status", "numberReady"),
				"numberAvailable": number(o, "status", "numberAvailable"), "images": imagesOf(o, template...),
			}
		}},
		{"replicasets", "/apis/apps/v1/replicasets", func(o object, _ everything) object {
			return object{
				"replicas": number(o, "spec", "replicas"), "readyReplicas": number(o, "status", "readyReplicas"),
				"owner": owner(o), "images": imagesOf(o, template...),
			}
		}},
		{"jobs", "/apis/batch/v1/jobs", jobFields},
		{"cronjobs", "/apis/batch/v1/cronjobs", func(o object, _ everything) object {
			return object{
				"schedule": text(o, "spec", "schedule"), "concurrencyPolicy": text(o, "spec", "concurrencyPolicy"),
				"active": float64(len(elements(o, "status", "active"))),
			}
		}},
		{"services", "/api/v1/services", serviceFields},
		{"ingresses", "/apis/networking.k8s.io/v1/ingresses", func(o object, _ everything) object {
			rule := elements(o, "spec", "rules")[0]
			path := elements(rule, "http", "paths")[0]
			backend := at(path, "backend", "service")
			return object{
				"ingressClassName": text(o, "spec", "ingressClassName"), "tlsHosts": elements(o, "spec", "tls")[0]["hosts"],
				"rules": []any{object{
					"host": rule["host"], "path": path["path"], "pathType": path["pathType"],
					"backend": fmt.Sprintf("%s:%.0f", text(backend, "name"), number(backend, "port", "number")),
				}},
			}
		}},
		{"namespaces", "/api/v1/namespaces", same(map[string][]string{"phase": {"status", "phase"}})},
		{"configmaps", "/api/v1/configmaps", func(o object, _ everything) object {
			return object{"keys": keysOf(o["data"], o["binaryData"])}
		}},
		{"secrets", "/api/v1/secrets", func(o object, _ everything) object {
			return object{"keys": keysOf(o["data"]), "type": text(o, "type")}
		}},
		{"pvs", "/api/v1/persistentvolumes", same(map[string][]string{
			"phase": {"status", "phase"}, "capacity": {"spec", "capacity", "storage"}, "accessModes": {"spec", "accessModes"},
			"persistentVolumeReclaimPolicy": {"spec", "persistentVolumeReclaimPolicy"},
		})},
		{"pvcs", "/api/v1/persistentvolumeclaims", same(map[string][]string{
			"phase": {"status", "phase"}, "volumeName": {"spec", "volumeName"}, "requested": {"spec", "resources", "requests", "storage"},
			"capacity": {"status", "capacity", "storage"}, "storageClassName": {"spec", "storageClassName"},
		})},
		{"resource-quotas", "/api/v1/resourcequotas", same(map[string][]string{"hard": {"spec", "hard"}, "used": {"status", "used"}})},
		{"limit-ranges", "/api/v1/limitranges", func(o object, _ everything) object {
			return object{"limits": float64(len(elements(o, "spec", "limits")))}
		}},
		{"network-policies", "/apis/networking.k8s.io/v1/networkpolicies", func(o object, _ everything) object {
			return object{
				"policyTypes": at(o, "spec", "policyTypes"), "ingressRules": float64(len(elements(o, "spec", "ingress"))),
				"podSelector": selectorText(o, "spec", "podSelector", "matchLabels"),
			}
		}},
		{"service-accounts", "/api/v1/serviceaccounts", same(nil)},
		{"events", "/api/v1/events", func(o object, _ everything) object {
			return object{
				"type": text(o, "type"), "reason": text(o, "reason"), "message": text(o, "message"), "count": number(o, "count"),
				"component": text(o, "source", "component"),
			}
		}},
	}
}

func owner(o object) object {
	for _, r := range elements(o, "metadata", "ownerReferences") {
		if r["controller"] == true {
			return object{"kind": r["kind"], "name": r["name"]}
		}
	}
	return nil
}

func nodeFields(o object, _ everything) object {
	ready := false
	for _, c := range elements(o, "status", "conditions") {
		ready = ready || c["type"] == "Ready" && c["status"] == "True"
	}
	roles := []any{}
	for label := range asObject(at(o, "metadata", "labels")) {
		if role, ok := strings.CutPrefix(label, "node-role.kubernetes.io/"); ok {
			roles = append(roles, role)
		}
	}
	return object{
		"ready": ready, "roles": roles, "addresses": at(o, "status", "addresses"), "capacity": at(o, "status", "capacity"),
		"kubeletVersion": text(o, "status", "nodeInfo", "kubeletVersion"), "osImage": text(o, "status", "nodeInfo", "osImage"),
	}
}

func podFields(o object, _ everything) object {
	out := object{"phase": text(o, "status", "phase")}
	ready, restarts := 0.0, 0.0
	reason := ""
	for _, s := range elements(o, "status", "containerStatuses") {
		if s["ready"] == true {
			ready++
		}
		restarts += number(s, "restartCount")
		reason = cmp.Or(text(s, "state", "waiting", "reason"), text(s, "state", "terminated", "reason"))
	}
	if out["phase"] == "Succeeded" {
		reason = ""
	}
	if at(o, "metadata", "deletionTimestamp") != nil {
		reason = "Terminating"
	}
	for field, v := range map[string]string{
		"reason": reason, "nodeName": text(o, "spec", "nodeName"), "podIP": text(o, "status", "podIP"),
	} {
		if v != "" {
			out[field] = v
		}
	}
	out["ready"], out["restarts"], out["owner"] = ready, restarts, owner(o)
	return out
}

func jobFields(o object, _ everything) object {
	status := "Active"
	for _, c := range elements(o, "status", "conditions") {
		status = text(c, "type")
	}
	return object{
		"status": status, "succeeded": number(o, "status", "succeeded"), "failed": number(o, "status", "failed"),
		"images": imagesOf(o, "spec", "template", "spec", "containers"),
	}
}

// serviceFields counts the endpoints among the pods that the service selects, not in
// the slices that say so as well.
func serviceFields(o object, all everything) object {
	ports := []any{}
	for _, p := range elements(o, "spec", "ports") {
		ports = append(ports, p["port"])
	}
	ready := 0.0
	selector := asObject(at(o, "spec", "selector"))
	for _, p := range all["/api/v1/pods"] {
		if len(selector) == 0 || text(p, "metadata", "namespace") != text(o, "metadata", "namespace") ||
			at(p, "metadata", "deletionTimestamp") != nil || !hasLabels(p, selector) {
			continue
		}
		for _, c := range elements(p, "status", "conditions") {
			if c["type"] == "Ready" && c["status"] == "True" {
				ready++
			}
		}
	}
	return object{"type": text(o, "spec", "type"), "clusterIP": text(o, "spec", "clusterIP"), "ports": ports, "ready endpoints": ready}
}

func hasLabels(o, selector object) bool {
	labels := asObject(at(o, "metadata", "labels"))
	for k, v := range selector {
		if labels[k] != v {
			return false
		}
	}
	return true
}

// shownAs brings what a master shows of some kinds into the form of the expectation.
func shownAs(list string, o object) object {
	out := maps.Clone(o)
	switch list {
	case "services":
		ports := []any{}
		for _, p := range elements(o, "ports") {
			ports = append(ports, p["port"])
		}
		out["ports"], out["ready endpoints"] = ports, number(o, "endpoints", "ready")
	case "limit-ranges":
		out["limits"] = float64(len(elements(o, "limits")))
	case "events": // their names are not below metadata
		out["metadata"] = object{"namespace": o["namespace"], "name": o["name"]}
	}
	return out
}

// seconds is a time of the API as the test compares them.
func seconds(t *testing.T, o any, path ...string) int64 {
	t.Helper()
	at, err := time.Parse(time.RFC3339, text(o, path...))
	if err != nil {
		t.Fatalf("%v: %v", path, err)
	}
	return at.Unix()
}
