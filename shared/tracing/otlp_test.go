package tracing_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/atlhyper/observe/shared/tracing"
)

const (
	endpoint       = "OTEL_EXPORTER_OTLP_ENDPOINT"
	tracesEndpoint = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
	protocol       = "OTEL_EXPORTER_OTLP_PROTOCOL"
)

// starts tells whether traces can be set up from the variables.
func starts(t *testing.T, env map[string]string) error {
	t.Helper()
	clean(t, env)
	traces, err := tracing.Start(t.Context(), tracing.Config{Service: "test"})
	if err != nil {
		return err
	}
	if traces.Provider() == nil {
		t.Error("traces are off")
	}
	return traces.Shutdown(t.Context())
}

func TestEndpoints(t *testing.T) {
	const secret = "s3cret"
	for _, c := range []struct {
		value      string
		http, grpc bool
	}{
		{"http://127.0.0.1:14999", true, true},
		{"HTTPS://collector.example/base", true, true},
		{"http://[::1]:4318", true, true},
		{"unix:///run/otlp.sock", false, true},
		{"unix:otlp.sock", false, true},
		{"unix://", false, false},
		{"127.0.0.1:14999", false, false},
		{"collector:4317", false, false},
		{"collector", false, false},
		{"/v1/traces", false, false},
		{"http://", false, false},
		{"http://:4318", false, false},
		{"http://collector:0", false, false},
		{"http://collector:65536", false, false},
		{"ftp://collector:21", false, false},
		{"http://user:" + secret + "@", false, false},
		{"http://user:" + secret, false, false},
		{"user:" + secret + "@collector:4317", false, false},
		{"http://user:%zz" + secret + "@collector:4317", false, false},
	} {
		for proto, want := range map[string]bool{"": c.http, "http/protobuf": c.http, "grpc": c.grpc} {
			for _, name := range []string{endpoint, tracesEndpoint} {
				err := starts(t, map[string]string{name: c.value, protocol: proto})
				if (err == nil) != want {
					t.Errorf("%s=%s by %q: %v", name, c.value, proto, err)
				}
				if err != nil && (!strings.Contains(err.Error(), name+":") || strings.Contains(err.Error(), secret)) {
					t.Errorf("%s=%s: %v; want the variable named and its value not repeated", name, c.value, err)
				}
			}
		}
	}
	// The endpoint of traces is the one that counts.
	if err := starts(t, map[string]string{tracesEndpoint: "http://127.0.0.1:1", endpoint: "nowhere"}); err != nil {
		t.Errorf("the endpoint of other signals: %v", err)
	}
	if err := starts(t, map[string]string{tracesEndpoint: "nowhere", endpoint: "http://127.0.0.1:1"}); err == nil {
		t.Error("the endpoint of traces was not looked at")
	}
}

// pair writes a certificate and its key.
func pair(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	signed, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return write(t, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signed})),
		write(t, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded}))
}

func write(t *testing.T, text []byte) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestCertificates(t *testing.T) {
	cert, key := pair(t)
	_, other := pair(t)
	junk, missing := write(t, []byte("junk")), filepath.Join(t.TempDir(), "missing")
	const ca, tracesCA = "OTEL_EXPORTER_OTLP_CERTIFICATE", "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE"
	const clientCert, clientKey = "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "OTEL_EXPORTER_OTLP_CLIENT_KEY"
	const tracesCert, tracesKey = "OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE", "OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY"
	for name, c := range map[string]struct {
		env  map[string]string
		want string // the variable that the error names; "" when it starts
	}{
		"all":                  {map[string]string{ca: cert, clientCert: cert, clientKey: key}, ""},
		"of traces":            {map[string]string{tracesCA: cert, ca: missing, tracesCert: cert, tracesKey: key, clientCert: missing}, ""},
		"no authority":         {map[string]string{ca: missing}, ca},
		"no authority of ours": {map[string]string{tracesCA: missing, ca: cert}, tracesCA},
		"no PEM":               {map[string]string{ca: junk}, ca},
		"a key as authority":   {map[string]string{ca: key}, ca},
		"no certificate":       {map[string]string{clientCert: missing, clientKey: key}, clientCert},
		"no key":               {map[string]string{clientCert: cert, clientKey: missing}, clientKey},
		"no pair":              {map[string]string{clientCert: cert, clientKey: other}, clientKey},
		"junk":                 {map[string]string{tracesCert: junk, tracesKey: key}, tracesCert},
		"a certificate alone":  {map[string]string{clientCert: cert}, clientCert},
		"a key alone":          {map[string]string{tracesKey: key, clientCert: cert}, tracesKey},
	} {
		for _, proto := range []string{"http/protobuf", "grpc"} {
			c.env["OTEL_TRACES_EXPORTER"], c.env[protocol] = "otlp", proto
			err := starts(t, c.env)
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s by %s: %v, want an error that names %q", name, proto, err, c.want)
			}
		}
	}
}
