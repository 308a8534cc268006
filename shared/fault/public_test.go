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
		// Users, wherever they stand.
		"code: 497, message: reader_prod: Not enough privileges. It needs the grant SELECT(Body) ON otel.otel_logs": "code: 497, message: Not enough privileges. It needs the grant SELECT(Body) ON otel.otel_logs",
		"ClickHouse failed logs with code 497: Not enough privileges":                                               "ClickHouse failed logs with code 497: Not enough privileges",
		"code 516: reader@corp: Authentication failed":                                                              "code 516: Authentication failed",
		"NOPERM User atlhyper-a-0 has no permissions to run the 'get' command":                                      "NOPERM User (name) has no permissions to run the 'get' command",
		"no quota for user reader_prod":                                                                             "no quota for user (name)",
		"WRONGPASS invalid username-password pair or user is disabled.":                                             "WRONGPASS invalid username-password pair or user is disabled.",
		// Hosts without a port.
		"x509: certificate is valid for ch-internal.corp.example.com":               "x509: certificate is valid for (address)",
		"x509: certificate is valid for ch, 10.0.0.1, ::1, not ch-prod":             "x509: certificate is valid for (address)",
		"x509: certificate is not valid for any names, but wanted to match ch-prod": "x509: certificate is not valid for (address)",
		"dial tcp: lookup clickhouse-prod: no such host":                            "dial tcp: lookup (address): no such host",
		"dial tcp: lookup clickhouse-prod on 10.0.0.10:53: server misbehaving":      "dial tcp: lookup (address) on (address): server misbehaving",
		"connection to ch-1.prod.internal refused":                                  "connection to (address) refused",
		"connection to ch-1.prod.bank refused":                                      "connection to (address) refused",
		"no answer of ch-1.prod.internal, ch-2.example.com.":                        "no answer of (address), (address)",
		// Secrets by other names.
		"api-key=hunter2 and X-Api-Key: hunter2":            "(secret) and (secret)",
		"access_token=hunter2 client_secret_id=hunter2":     "(secret) (secret)",
		"Authorization: Basic aHVudGVyMg==":                 "(secret)",
		"authorization: Custom aHVudGVyMmh1bnRlcjI= failed": "(secret) failed",
		"pwd=x database_password = 'hunter 2'":              "(secret) (secret)",
		"DSN user=foo pass=bar":                             "DSN (secret) (secret)",
		`{"password": "hunter 2", "db_pass":'hunter \'2'}`:  `{"(secret) "(secret)`,
		"tokens: line 3":                                    "tokens: line 3",
		"failed secrets: forbidden":                         "failed secrets: forbidden",
		// Statements of every kind, and one that was cut off.
		"failed at DELETE FROM otel.logs WHERE a = 'bob'": "failed at (statement)",
		"failed at ALTER TABLE otel.logs DELETE WHERE 1":  "failed at (statement)",
		"failed at SHOW CREATE TABLE otel.logs":           "failed at (statement)",
		"failed at DROP TABLE otel.logs":                  "failed at (statement)",
		"failed at TRUNCATE TABLE otel.logs":              "failed at (statement)",
		"failed at SELECT card, owner":                    "failed at (statement)",
		"grant SELECT on the tables":                      "grant SELECT on the tables",
		// Times are no addresses.
		"late since 2026-11-23T18:00:00Z":             "late since 2026-11-23T18:00:00Z",
		"late since 2026-11-23T18:00:00.123456+01:00": "late since 2026-11-23T18:00:00.123456+01:00",
		"late since 2026-11-23 18:00:00.123.":         "late since 2026-11-23 18:00:00.123.",
		"at 12:30:45":                                 "at 12:30:45",
		"at [12:30], and 9:05:":                       "at [12:30], and 9:05:",
		"at 12:30:45:1::2 and fe80::1":                "at (address) and (address)",
		"at [2001:db8::1]:9000 and ch:9000":           "at (address) and (address)",
		// What is named with dots is no host for that.
		"Missing columns: 'k8s.pod.name', net.peer.name of otel.otel_logs": "Missing columns: 'k8s.pod.name', net.peer.name of otel.otel_logs",
		"metrics.k8s.io/v1beta1 is not served by version v1.30.2":          "metrics.k8s.io/v1beta1 is not served by version v1.30.2",
		"x \xff y": "x ? y",
	} {
		if got := fault.Public(text); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
		// Agents do it, and masters again.
		if got := fault.Public(want); got != want {
			t.Errorf("the second time %q became %q", want, got)
		}
	}
}

func FuzzPublic(f *testing.F) {
	f.Add("dial tcp 10.0.0.1:9000", "x")
	f.Add("", "password=x")
	f.Add("lookup", "user 'x'")
	f.Add(`password="`, `" at 12:30:45`)
	f.Add("certificate is valid for", "NOPERM User x has")
	f.Fuzz(func(t *testing.T, before, after string) {
		for _, loose := range []string{"clickhouse://otel:hunter2@10.1.2.3:9000/otel", "access_token=hunter2", "ch-1.prod.internal", "10.1.2.3"} {
			got := fault.Public(before + " " + loose + " " + after)
			for _, secret := range []string{"hunter2", "prod.internal", "10.1.2.3"} {
				if strings.Contains(got, secret) && !strings.Contains(before+after, secret) {
					t.Errorf("%q in %q", secret, got)
				}
			}
			if !utf8.ValidString(got) {
				t.Errorf("%q", got)
			}
		}
	})
}

func TestPublicLooksAtABoundedText(t *testing.T) {
	t.Parallel()
	if got := fault.Public(strings.Repeat("broken ", 1<<20)); len(got) > 8<<10 {
		t.Errorf("%d bytes are shown", len(got))
	}
}
