package clickhouse

import (
	"math"
	"testing"
	"unicode/utf8"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// Labels are whatever a scraped process says: no text may break a proxy's
// reader, and what it accepts always has a name to be listed under.
func FuzzSightings(f *testing.F) {
	f.Add("web@docker", "shop", "5", "grpc", "10.0.0.1:4191", "+Inf")
	f.Add("", "", "503", "UF,UH", "cart.shop.svc.cluster.local:80", "0.5")
	f.Add("@", "/", "\x00", "inbound", "[::1", "NaN")
	f.Fuzz(func(t *testing.T, name, namespace, code, word, host, le string) {
		for _, direction := range []string{"inbound", "outbound", "source", "destination", "waypoint", word} {
			l := labels{
				"service": name, "namespace": namespace, "ingress": word, "code": code, "status": code, "protocol": word,
				"deployment": name, "direction": direction, "authority": host, "target_addr": host, "status_code": code,
				"reporter": direction, "source_workload": name, "destination_workload": namespace, "response_code": code,
				"response_flags": word, "destination_service_name": host, "le": le,
			}
			traffic := newSLOTraffic(window{0, 60_000})
			for _, p := range proxies() {
				for _, metric := range []string{p.requests, p.duration + "_bucket", p.duration + "_count", p.duration} {
					s := series{metric: metric, attributes: l, resource: labels{}}
					traffic.add([]increment{{series: &s, vector: []float64{3}}})
				}
			}
			for _, row := range traffic.ingressRows() {
				if row.ServiceKey == "" || row.DisplayName == "" || row.TotalRequests != 3 || math.IsNaN(row.P99Ms) {
					t.Errorf("ingress row %+v", row)
				}
			}
			for _, row := range traffic.serviceRows() {
				if row.Name == "" || math.IsNaN(row.SuccessRate) {
					t.Errorf("service row %+v", row)
				}
			}
			for _, row := range traffic.edgeRows() {
				if row.SrcName == "" || row.DstName == "" {
					t.Errorf("edge row %+v", row)
				}
			}
		}
	})
}

func FuzzPublicText(f *testing.F) {
	f.Add("Unknown table 'x' in scope SELECT 1")
	f.Add("refused (10.0.0.1:9000)")
	f.Add("\xff: While executing")
	f.Fuzz(func(t *testing.T, text string) {
		got := publicText(&clickhouse.Exception{Code: 1, Message: text})
		if len(got) > maxPublicText+len("…") || !utf8.ValidString(got) {
			t.Errorf("%d bytes: %q", len(got), got)
		}
	})
}
