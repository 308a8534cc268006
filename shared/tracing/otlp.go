package tracing

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/url"
	"strconv"

	"github.com/atlhyper/observe/shared/readfile"
)

// maxPEM bounds a file of certificates or keys, in bytes.
const maxPEM = 4 << 20

// Names of OTLP's variables: that of traces alone counts before that of all signals.
const (
	envOTLP       = "OTEL_EXPORTER_OTLP_"
	envOTLPTraces = envOTLP + "TRACES_"
)

// checkOTLP refuses an endpoint and certificates that the exporter would replace by its
// defaults: it would send the spans to somebody else, or fail each time.
func checkOTLP(protocol string) error {
	if err := checkEndpoint(protocol); err != nil {
		return err
	}
	if err := checkAuthorities(); err != nil {
		return err
	}
	return checkClientCertificate()
}

// checkEndpoint checks the endpoint that counts, if there is one. The error does not repeat
// it: a URL may hold a password.
func checkEndpoint(protocol string) error {
	name, value := variable(envTracesEndpoint, envEndpoint)
	if value == "" {
		return nil
	}
	u, err := url.Parse(value)
	switch {
	case err != nil:
	case u.Scheme == "http" || u.Scheme == "https":
		if u.Hostname() != "" && isPort(u.Port()) {
			return nil
		}
	case u.Scheme == "unix" && protocol == protocolGRPC:
		if u.Host == "" && u.Path+u.Opaque != "" {
			return nil
		}
	}
	if protocol == protocolGRPC {
		return fmt.Errorf("%s: it is no URL such as http://127.0.0.1:4317, https://collector.example:4317 or unix:///run/otlp.sock", name)
	}
	return fmt.Errorf("%s: it is no URL such as http://127.0.0.1:4318 or https://collector.example", name)
}

// isPort tells whether a URL's port can be connected to; "" is the scheme's own.
func isPort(text string) bool {
	if text == "" {
		return true
	}
	port, err := strconv.ParseUint(text, 10, 16)
	return err == nil && port > 0
}

func checkAuthorities() error {
	name, file := variable(envOTLPTraces+"CERTIFICATE", envOTLP+"CERTIFICATE")
	if file == "" {
		return nil
	}
	text, err := readfile.Regular(file, maxPEM)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if !x509.NewCertPool().AppendCertsFromPEM(text) {
		return fmt.Errorf("%s: %s has no certificate in PEM", name, file)
	}
	return nil
}

// checkClientCertificate checks the pair that counts. The exporter takes both of its files
// from variables with the same prefix.
func checkClientCertificate() error {
	for _, prefix := range []string{envOTLPTraces, envOTLP} {
		nameOfCert, cert := variable(prefix + "CLIENT_CERTIFICATE")
		nameOfKey, key := variable(prefix + "CLIENT_KEY")
		switch {
		case cert == "" && key == "":
			continue
		case cert == "":
			return fmt.Errorf("%s: it needs %sCLIENT_CERTIFICATE", nameOfKey, prefix)
		case key == "":
			return fmt.Errorf("%s: it needs %sCLIENT_KEY", nameOfCert, prefix)
		}
		return checkPair(nameOfCert, cert, nameOfKey, key)
	}
	return nil
}

func checkPair(nameOfCert, cert, nameOfKey, key string) error {
	certText, err := readfile.Regular(cert, maxPEM)
	if err != nil {
		return fmt.Errorf("%s: %w", nameOfCert, err)
	}
	keyText, err := readfile.Regular(key, maxPEM)
	if err != nil {
		return fmt.Errorf("%s: %w", nameOfKey, err)
	}
	if _, err := tls.X509KeyPair(certText, keyText); err != nil {
		return fmt.Errorf("%s, %s: %w", nameOfCert, nameOfKey, err)
	}
	return nil
}
