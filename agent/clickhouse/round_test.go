package clickhouse

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/atlhyper/observe/loadtest/telemetry"
	"github.com/atlhyper/observe/shared/detail"
	"github.com/atlhyper/observe/shared/model"
)

// capturedUntil is the end of the capture.
var capturedUntil = time.Date(2026, 11, 23, 2, 38, 0, 0, time.UTC)

// TestRoundOfTheCapture checks the sections of what a real collector wrote
// against PromQL over the same rows.
func TestRoundOfTheCapture(t *testing.T) {
	t.Parallel()
	capture, err := telemetry.Load()
	if err != nil {
		t.Fatal(err)
	}
	rows := capture.Shifted(testNow.Sub(capturedUntil))
	s, _ := testStore(t, rows)
	round, prom, w := s.Round(t.Context(), testNow), promOf(rows), fiveMinutes()

	t.Run("nodes", func(t *testing.T) {
		t.Parallel()
		checkCapturedNodes(t, round, prom, w)
	})
	t.Run("ingress", func(t *testing.T) {
		t.Parallel()
		checkCapturedIngress(t, round, prom, w)
	})
	t.Run("mesh", func(t *testing.T) {
		t.Parallel()
		checkCapturedMesh(t, round, prom, w)
	})
	t.Run("overview", func(t *testing.T) {
		t.Parallel()
		topology, err := round.TracesTopology()
		if err != nil || len(topology.Nodes) == 0 || len(topology.Edges) == 0 {
			t.Errorf("topology %+v, error %v", topology, err)
		}
		got, err := round.Overview()
		if err != nil {
			t.Fatal(err)
		}
		checkEqual(t, "counts", []int64{got.IngressServices, got.MeshServices, got.MonitoredNodes}, []int64{6, 9, 3})
		if got.TotalServices == 0 || got.TotalRPS == 0 || got.AvgSuccessRate == 0 || got.AvgCPUPct == 0 {
			t.Errorf("overview %+v has holes", got)
		}
	})
	t.Run("section over another range", func(t *testing.T) {
		t.Parallel()
		r := detail.Section{Name: model.SectionSLOIngress, Range: before(9 * time.Minute)}
		data, meta, err := s.Section(t.Context(), r)
		list, _ := data.([]model.IngressSLO)
		if err != nil || len(list) != 6 || meta.WindowSeconds != 540 {
			t.Fatalf("%d rows, meta %+v, error %v", len(list), meta, err)
		}
		longer := windowBefore(testNow, 9*time.Minute)
		checkNear(t, "rps", list[0].RPS, prom.increase(longer, "traefik_service_requests_total", where("service", list[0].ServiceKey))/540)
		for _, name := range []model.Section{model.SectionSLOServices, model.SectionSLOEdges, model.SectionSLOSummary, model.SectionTracesServices, model.SectionTracesTopology} {
			if _, _, err := s.Section(t.Context(), detail.Section{Name: name, Range: r.Range}); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, _, err := s.Section(t.Context(), detail.Section{Name: model.SectionMetricsNodes, Range: r.Range}); err == nil {
			t.Error("metrics.nodes over a range is no error")
		}
	})
}

func checkCapturedNodes(t *testing.T, round *Round, prom promIndex, w window) {
	t.Helper()
	nodes, err := round.MetricsNodes()
	if err != nil || len(nodes) != 3 {
		t.Fatalf("%d nodes, error %v; want 3", len(nodes), err)
	}
	for i, n := range nodes {
		checkEqual(t, "name", n.NodeName, []string{"10.0.1.11", "10.0.1.12", "10.0.1.13"}[i])
		own := make(promIndex)
		for key, p := range prom {
			if p.resource["server.address"] == n.NodeName {
				own[key] = p
			}
		}
		idle := 0.0
		for _, mode := range []string{"idle", "iowait", "steal"} {
			idle += own.increase(w, cpuSeconds, where("mode", mode)) / 300
		}
		checkNear(t, "cpu", n.CPU.UsagePct, 100*(1-300*idle/own.increase(w, cpuSeconds, where())))
		checkNear(t, "page faults", n.VMStat.PgFaultPerSec, own.increase(w, "node_vmstat_pgfault", where())/300)
		checkEqual(t, "disks", len(n.Disks), 1)
		checkNear(t, "disk writes", n.Disks[0].WriteBytesPerSec, own.increase(w, "node_disk_written_bytes_total", where())/300)
		checkEqual(t, "cores and interfaces", []int64{n.CPU.Cores, int64(len(n.Networks))}, []int64{2, 3})
		if n.Memory.UsagePct <= 0 || n.Memory.TotalBytes < 25e9 || n.Uptime <= 0 || n.Kernel == "" || n.TCP.CurrEstab == 0 {
			t.Errorf("node %+v has holes", n)
		}
	}
	summary, err := round.MetricsSummary()
	if err != nil || summary.OnlineNodes != 3 || summary.MaxCPUPct < summary.AvgCPUPct || summary.AvgCPUPct <= 0 {
		t.Errorf("summary %+v, error %v", summary, err)
	}
}

func checkCapturedIngress(t *testing.T, round *Round, prom promIndex, w window) {
	t.Helper()
	list, err := round.SLOIngress()
	if err != nil || len(list) != 6 {
		t.Fatalf("%d ingress services, error %v; want 6", len(list), err)
	}
	for _, got := range list {
		counter, seconds, code := "traefik_service_requests_total", "traefik_service_request_duration_seconds", "code"
		of := where("service", got.ServiceKey)
		if parts := strings.Split(got.ServiceKey, "/"); len(parts) == 3 {
			counter, seconds, code = "nginx_ingress_controller_requests", "nginx_ingress_controller_request_duration_seconds", "status"
			of = where("exported_namespace", parts[0], "exported_service", parts[1], "ingress", parts[2])
		}
		total := prom.increase(w, counter, of)
		failed := prom.increase(w, counter, and(of, prefix(code, "5")))
		if total == 0 {
			t.Fatalf("%s: the reference has no requests", got.ServiceKey)
		}
		checkNear(t, got.ServiceKey+" rps", got.RPS, total/300)
		checkNear(t, got.ServiceKey+" success rate", got.SuccessRate, 100*(1-failed/total))
		checkEqual(t, got.ServiceKey+" totals", []int64{got.TotalRequests, got.TotalErrors}, []int64{int64(math.Round(total)), int64(math.Round(failed))})
		for q, ms := range map[float64]float64{0.5: got.P50Ms, 0.9: got.P90Ms, 0.95: got.P95Ms, 0.99: got.P99Ms} {
			checkNear(t, got.ServiceKey+" quantile", ms, 1000*prom.quantile(q, w, seconds, of))
		}
		checkNear(t, got.ServiceKey+" mean", got.AvgMs, 1000*prom.increase(w, seconds+"_sum", of)/prom.increase(w, seconds+"_count", of))
	}
}

func checkCapturedMesh(t *testing.T, round *Round, prom promIndex, w window) {
	t.Helper()
	services, err := round.SLOServices()
	if err != nil || len(services) != 9 {
		t.Fatalf("%d mesh services, error %v; want 9", len(services), err)
	}
	for _, got := range services {
		linkerd := where("direction", "inbound", "namespace", got.Namespace, "deployment", got.Name)
		istio := where("reporter", "destination", "destination_workload_namespace", got.Namespace, "destination_workload", got.Name)
		total := prom.increase(w, "response_total", linkerd) + prom.increase(w, "istio_requests_total", istio)
		failed := prom.increase(w, "response_total", and(linkerd, where("classification", "failure"))) +
			prom.increase(w, "istio_requests_total", and(istio, prefix("response_code", "5")))
		checkNear(t, got.Name+" rps", got.RPS, total/300)
		checkNear(t, got.Name+" success rate", got.SuccessRate, 100*(1-failed/total))
		checkNear(t, got.Name+" mtls", got.MTLSRate, 1)
	}
	edges, err := round.SLOEdges()
	if err != nil || len(edges) != 10 {
		t.Fatalf("%d edges, error %v; want 10", len(edges), err)
	}
	for _, got := range edges {
		linkerd := where("direction", "outbound", "namespace", got.SrcNamespace, "deployment", got.SrcName,
			"dst_namespace", got.DstNamespace, "dst_deployment", got.DstName)
		istio := where("reporter", "destination", "source_workload_namespace", got.SrcNamespace, "source_workload", got.SrcName,
			"destination_workload_namespace", got.DstNamespace, "destination_workload", got.DstName)
		checkNear(t, "edge rps", got.RPS, (prom.increase(w, "response_total", linkerd)+prom.increase(w, "istio_requests_total", istio))/300)
	}
}
