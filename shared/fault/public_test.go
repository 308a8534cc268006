package fault_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/atlhyper/observe/shared/fault"
)

func TestPublic(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		// What is ours stays as it is.
		"ClickHouse cannot be reached or broke off while it answered logs":                   "ClickHouse cannot be reached or broke off while it answered logs",
		"the collection did not end within 8s":                                               "the collection did not end within 8s",
		"the ClickHouse user may not read otel.otel_logs: code 497: it needs a GRANT SELECT": "the ClickHouse user may not read otel.otel_logs: code 497: it needs a GRANT SELECT",
		"pods cannot be read from the API server":                                            "pods cannot be read from the API server",
		"the agent may not list and watch secrets":                                           "the agent may not list and watch secrets",
		`no service "shop/cart" had traffic in the range`:                                    `no service "shop/cart" had traffic in the range`,
		"Memory limit (for query) exceeded: would use 9.31 GiB":                              "Memory limit (for query) exceeded: would use 9.31 GiB",
		// What drivers and servers say does not.
		"Unknown identifier x in scope SELECT secret FROM t":                       "Unknown identifier x",
		"failed at: select card from payments where id = 1":                        "failed at: (statement)",
		"dial tcp 10.1.2.3:9000: connect: connection refused":                      "dial tcp (address): connect: connection refused",
		"dial tcp: lookup ch-0.ch.svc.cluster.local on 10.0.0.10:53: no such host": "dial tcp: lookup (address) on (address): no such host",
		"Not found address of host: ch-2.internal. (DNS_ERROR)":                    "Not found address of host: (address) (DNS_ERROR)",
		"clickhouse://otel:hunter2@ch.example.org:9000/otel?x=y is down":           "(address) is down",
		"redis: otel:hunter2@redis.example.org is down":                            "redis: (address) is down",
		"password=hunter2 is wrong":                                                "(secret) is wrong",
		"Authorization: Bearer abcdefghijklmnopqrstuvwxyz":                         "(secret)",
		"medicus: Authentication failed: password is incorrect":                    "Authentication failed: password is incorrect",
		"Quota for user `medicus` has been exceeded":                               "Quota for user (name) has been exceeded",
		"Cannot open file /var/lib/clickhouse/store/a.bin":                         "Cannot open file (path)",
		"x \xff y": "x ? y",
	} {
		if got := fault.Public(text); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
}

func FuzzPublic(f *testing.F) {
	f.Add("dial tcp 10.0.0.1:9000", "x")
	f.Add("", "password=x")
	f.Fuzz(func(t *testing.T, before, after string) {
		got := fault.Public(before + " clickhouse://otel:hunter2@10.1.2.3:9000/otel " + after)
		if strings.Contains(got, "hunter2") || strings.Contains(got, "10.1.2.3") || !utf8.ValidString(got) {
			t.Errorf("%q", got)
		}
	})
}
