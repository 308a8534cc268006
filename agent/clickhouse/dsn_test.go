package clickhouse

import (
	"strings"
	"testing"
)

func TestParseDSN(t *testing.T) {
	t.Parallel()
	for _, good := range []string{
		"clickhouse://u:p@h:9000/otel", "http://h:8123", "https://h:8443/otel?secure=true", "tcp://h1:9000,h2:9000/otel",
	} {
		if _, err := parseDSN(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for dsn, says := range map[string]string{
		"nonsense://u:hunter2@h:1/x":            "cannot be parsed",
		"h:9000":                                "cannot be parsed",
		"http://u:hunter2@h:81%/x":              "cannot be parsed",
		"clickhouse://u:hunter2@h/x":            "without a port",
		"clickhouse://u:hunter2@h:9000,h2/otel": "without a port",
	} {
		if _, err := parseDSN(dsn); err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: error %v, want one that says %q and no password", dsn, err, says)
		}
	}
}
