package world_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	appsv1 "k8s.io/api/apps/v1"

	"github.com/atlhyper/observe/loadtest/kubesim/world"
	"github.com/atlhyper/observe/loadtest/telemetry"
)

// TestItFitsTheTelemetry: the nodes that send metrics, the proxies' pods, the workloads
// of meshes with as many pods, and the services of traces and ingresses are there.
func TestItFitsTheTelemetry(t *testing.T) {
	t.Parallel()
	capture, err := telemetry.Load()
	if err != nil {
		t.Fatal(err)
	}
	for number, name := range []string{"demo-east", "demo-west"} {
		w, err := world.New(world.Config{Name: name, Number: uint8(number), Start: start()})
		if err != nil {
			t.Fatal(err)
		}
		variant := telemetry.ClusterVariant(uint8(number))
		label := func(v string) string {
			for _, r := range variant.Replace {
				if rest, ok := strings.CutPrefix(v, r.Prefix); ok {
					return r.With + rest
				}
			}
			return v
		}
		objects := w.At(start())
		nodes, pods := map[string]bool{}, map[string]bool{}
		for _, n := range of[*corev1.Node](t, objects) {
			nodes[n.Status.Addresses[0].Address] = true
		}
		for _, p := range of[*corev1.Pod](t, objects) {
			pods[p.Status.PodIP] = true
		}
		services, deployments := of[*corev1.Service](t, objects), of[*appsv1.Deployment](t, objects)
		meshPods := map[string]map[string]bool{}
		for i := range capture.Sums {
			s := &capture.Sums[i]
			address := label(s.Resource["server.address"])
			if s.Resource["service.name"] == "node-exporter" {
				if !nodes[address] {
					t.Fatalf("%s: no node has the address %s", name, address)
				}
			} else if !pods[address] {
				t.Fatalf("%s: no pod has the address %s", name, address)
			}
			a := s.Attributes
			if s.MetricName == "request_total" {
				workload := label(a["namespace"]) + "/" + a["deployment"]
				if meshPods[workload] == nil {
					meshPods[workload] = map[string]bool{}
				}
				meshPods[workload][a["pod"]] = true
			}
			if s.MetricName == "nginx_ingress_controller_requests" && services[label(a["exported_namespace"])+"/"+a["exported_service"]] == nil {
				t.Fatalf("%s: no service %v", name, a)
			}
		}
		for workload, of := range meshPods {
			if d := deployments[workload]; d == nil || int(*d.Spec.Replicas) != len(of) {
				t.Errorf("%s: the mesh has %d pods of %s; the deployment is %+v", name, len(of), workload, d)
			}
		}
		if len(meshPods) == 0 {
			t.Error("the telemetry has no mesh")
		}
		for i := range capture.Spans {
			if service := capture.Spans[i].Resource["service.name"]; services["hotrod/"+service] == nil {
				t.Fatalf("%s: no service %s", name, service)
			}
		}
	}
}
