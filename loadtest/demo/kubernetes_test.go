package demo_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/redis/go-redis/v9"

	"github.com/atlhyper/observe/loadtest/kubesim/world"
)

// read asks for JSON.
func read[T any](t *testing.T, url string) T {
	t.Helper()
	out, there := find[T](t, url)
	if !there {
		t.Fatalf("%s: not found", url)
	}
	return out
}

// find is read of what may not be there yet.
func find[T any](t *testing.T, url string) (out T, there bool) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode == http.StatusNotFound {
		return out, false
	}
	if err := json.NewDecoder(res.Body).Decode(&out); err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s: %v", url, res.Status, err)
	}
	return out, true
}

type named struct {
	Namespace, Name string // of events
	Metadata        struct{ Namespace, Name string }
}

func (n named) String() string {
	return n.Namespace + n.Metadata.Namespace + "/" + n.Name + n.Metadata.Name
}

// lists are the paths of lists, and of what they list in the Kubernetes API. Replica
// sets are left out: those without pods are not shown.
func lists() map[string]string {
	return map[string]string{
		"nodes": "api/v1/nodes", "pods": "api/v1/pods", "deployments": "apis/apps/v1/deployments",
		"statefulsets": "apis/apps/v1/statefulsets", "daemonsets": "apis/apps/v1/daemonsets", "jobs": "apis/batch/v1/jobs",
		"cronjobs": "apis/batch/v1/cronjobs", "services": "api/v1/services", "ingresses": "apis/networking.k8s.io/v1/ingresses",
		"namespaces": "api/v1/namespaces", "configmaps": "api/v1/configmaps", "secrets": "api/v1/secrets",
		"pvs": "api/v1/persistentvolumes", "pvcs": "api/v1/persistentvolumeclaims", "resource-quotas": "api/v1/resourcequotas",
		"limit-ranges": "api/v1/limitranges", "network-policies": "apis/networking.k8s.io/v1/networkpolicies",
		"service-accounts": "api/v1/serviceaccounts", "events": "api/v1/events",
	}
}

// checkKubernetes: the lists of both clusters name what their simulated API servers
// have, nodes that send telemetry go by their names, and nothing secret got to Redis.
func (d *running) checkKubernetes(t *testing.T) {
	t.Helper()
	for i, cluster := range []string{"demo-east", "demo-west"} {
		for list, path := range lists() {
			var want, got []string
			d.until(t, cluster+" lists its "+list, func() bool {
				want, got = nil, nil
				api := read[struct{ Items []named }](t, fmt.Sprintf("http://127.0.0.1:%d/%s", d.port+6+i, path))
				for _, n := range api.Items {
					want = append(want, n.Metadata.Namespace+"/"+n.Metadata.Name)
				}
				shown, there := find[struct{ Data []named }](t, d.url("/"+list+"?limit=1000&cluster_id="+cluster))
				if !there {
					return false // the agent has not read it yet
				}
				for _, n := range shown.Data {
					got = append(got, n.String())
				}
				slices.Sort(want)
				slices.Sort(got)
				return len(want) > 0 && slices.Equal(want, got)
			})
		}
		d.until(t, cluster+" has replica sets", func() bool {
			sets, _ := find[struct{ Data []named }](t, d.url("/replicasets?cluster_id="+cluster))
			return len(sets.Data) > 0
		})
		d.until(t, "telemetry's nodes have names", func() bool {
			names := map[string]bool{}
			for _, n := range read[struct{ Data []struct{ NodeName string } }](t, d.url("/observe/metrics/nodes?cluster_id="+cluster)).Data {
				names[n.NodeName] = true
			}
			return maps.Equal(names, map[string]bool{cluster + "-worker-1": true, cluster + "-worker-2": true, cluster + "-worker-3": true})
		})
		d.until(t, "all nodes are counted", func() bool {
			summary := read[struct {
				Data struct{ TotalNodes, OnlineNodes int }
			}](t, d.url("/observe/metrics/summary?cluster_id="+cluster)).Data
			return summary.TotalNodes == 4 && summary.OnlineNodes == 3
		})
	}
	d.checkSecrets(t)
}

// until polls until cond holds.
func (d *running) until(t *testing.T, what string, cond func() bool) {
	t.Helper()
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	limit := time.NewTimer(3 * time.Minute) // so that a failure says what it is about
	defer limit.Stop()
	for !cond() {
		select {
		case <-ticker.C:
		case err := <-d.ended:
			t.Fatalf("the demo ended with %v before: %s", err, what)
		case <-limit.C:
			t.Fatalf("gave up waiting: %s", what)
		}
	}
}

// checkSecrets reads all that lies in Redis, also what is compressed.
func (d *running) checkSecrets(t *testing.T) {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: fmt.Sprintf("127.0.0.1:%d", d.port+1)})
	defer client.Close()
	keys, err := client.Keys(t.Context(), "*").Result()
	if err != nil {
		t.Fatal(err)
	}
	decoder, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer decoder.Close()
	clusters := make(map[string]bool) // whose secrets are named
	for _, key := range keys {
		fields, err := client.HGetAll(t.Context(), key).Result()
		if err != nil {
			continue // no hash
		}
		for field, value := range fields {
			if plain, err := decoder.DecodeAll([]byte(value), nil); err == nil {
				value = string(plain)
			}
			if strings.Contains(value, "payment-provider") {
				clusters[key] = true
			}
			for _, secret := range []string{world.Marker, base64.StdEncoding.EncodeToString([]byte(world.Marker))} {
				if strings.Contains(value, secret) {
					t.Errorf("%s, %s: a value that nobody may see", key, field)
				}
			}
		}
	}
	if len(clusters) != 2 {
		t.Errorf("secrets are named in %v, not of both clusters: the test looks in the wrong place", clusters)
	}
}
