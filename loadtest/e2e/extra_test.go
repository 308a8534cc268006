package e2e_test

import (
	"fmt"
	"strings"
	"time"

	"github.com/atlhyper/observe/loadtest/telemetry"
)

// What the capture lacks, in the words of an older collector and of older
// instrumentation: a failed and a good trace of services in Kubernetes, logs
// without severity numbers, and logs of one instant.
const oldScope = "com.shop.Cart"

// withOldGeneration adds these rows, around the given time.
func withOldGeneration(rows telemetry.Rows, at time.Time) telemetry.Rows {
	rows.Spans = append(rows.Spans, oldTrace(traceID(1), at, true)...)
	rows.Spans = append(rows.Spans, oldTrace(traceID(2), at.Add(10*time.Second), false)...)
	for i, word := range []string{"WARNING", "warn", "ERROR"} {
		rows.Logs = append(rows.Logs, telemetry.LogRecord{
			Timestamp: at.Add(time.Duration(i) * time.Second), SeverityText: word, ServiceName: "shop-web",
			Body: "100% of a_b sold", ScopeName: oldScope,
			Resource: telemetry.Attributes{"service.name": "shop-web"}, Attributes: telemetry.Attributes{"n": "1"},
		})
	}
	for i := range 5 {
		rows.Logs = append(rows.Logs, telemetry.LogRecord{
			Timestamp: at.Add(time.Minute), SeverityText: "Info", SeverityNumber: 9, ServiceName: "shop-web",
			Body: fmt.Sprint("tied ", i), Resource: telemetry.Attributes{"service.name": "shop-web"},
		})
	}
	return rows
}

func traceID(n int) string { return fmt.Sprintf("%032x", 0xfeed00+n) }

func oldTrace(id string, at time.Time, fail bool) []telemetry.Span {
	span := func(n, parent int, service, name, kind string, startMs, tookMs int, attributes telemetry.Attributes) telemetry.Span {
		s := telemetry.Span{
			Timestamp: at.Add(time.Duration(startMs) * time.Millisecond), Duration: time.Duration(tookMs) * time.Millisecond,
			TraceID: id, SpanID: spanID(id, n), Name: name, Kind: "SPAN_KIND_" + kind, StatusCode: "STATUS_CODE_UNSET",
			ServiceName: service, Attributes: attributes, Resource: pod(service),
		}
		if parent > 0 {
			s.ParentSpanID = spanID(id, parent)
		}
		return s
	}
	code, took := "200", 310
	if fail {
		code, took = "500", 300
	}
	spans := []telemetry.Span{
		span(1, 0, "shop-web", "GET /cart", "SERVER", 0, took, telemetry.Attributes{
			"http.method": "GET", "http.status_code": "200", "http.route": "/cart", "http.target": "/cart",
			"net.host.name": "shop.example.com", "net.host.port": "8080",
		}),
		span(2, 1, "shop-web", "HTTP POST", "CLIENT", 20, 250, telemetry.Attributes{
			"http.method": "POST", "http.status_code": code, "http.url": "http://pay:8080/pay",
			"net.peer.name": "pay", "net.peer.port": "8080",
		}),
		span(3, 2, "shop-pay", "POST /pay", "SERVER", 30, 200, telemetry.Attributes{
			"http.method": "POST", "http.status_code": code, "http.route": "/pay", "http.target": "/pay",
		}),
		span(4, 3, "shop-pay", "SELECT orders.cart", "CLIENT", 40, 100, telemetry.Attributes{
			"db.system": "postgresql", "db.name": "orders", "db.operation": "SELECT", "db.sql.table": "cart",
			"db.statement": "SELECT * FROM cart WHERE id = ?", "net.peer.name": "pg", "net.peer.port": "5432",
		}),
	}
	spans[3].StatusCode = "STATUS_CODE_OK"
	if fail {
		for _, i := range []int{1, 2} {
			spans[i].StatusCode, spans[i].StatusText = "STATUS_CODE_ERROR", "no funds"
		}
		spans[2].Events = []telemetry.SpanEvent{{Name: "exception", Timestamp: at.Add(200 * time.Millisecond), Attributes: telemetry.Attributes{
			"exception.type": "PaymentError", "exception.message": "no funds left", "exception.stacktrace": "at pay\nat main",
		}}}
	}
	return spans
}

func spanID(trace string, n int) string { return trace[len(trace)-8:] + fmt.Sprintf("%08x", n) }

// pod is the resource of a process in Kubernetes.
func pod(service string) telemetry.Attributes {
	return telemetry.Attributes{
		"service.name": service, "service.namespace": "shop", "service.version": "1.2.3", "service.instance.id": service + "-1",
		"deployment.environment": "production", "k8s.pod.name": service + "-abc", "k8s.node.name": "node-1",
		"k8s.deployment.name": strings.TrimPrefix(service, "shop-"), "k8s.namespace.name": "shop", "k8s.cluster.name": "demo",
	}
}
