package redistest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// ServerName is the name that servers' certificates are for, besides 127.0.0.1.
const ServerName = "redis.test"

// Certificates are the PEM files of a private CA, of servers and of a client.
type Certificates struct {
	CAFile, ServerCertFile, ServerKeyFile, ClientCertFile, ClientKeyFile string

	trust *tls.Config
}

// NewCertificates makes a CA and what it signs; they are gone when the test ends.
func NewCertificates(tb testing.TB) *Certificates {
	tb.Helper()
	dir := tb.TempDir()
	now := time.Now()
	caKey, ca := newKey(tb), &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test CA"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	c := &Certificates{CAFile: filepath.Join(dir, "ca.crt")}
	writePEM(tb, c.CAFile, "CERTIFICATE", sign(tb, ca, ca, caKey, caKey))
	for i, who := range []struct {
		name      string
		cert, key *string
	}{{"server", &c.ServerCertFile, &c.ServerKeyFile}, {"client", &c.ClientCertFile, &c.ClientKeyFile}} {
		key := newKey(tb)
		leaf := &x509.Certificate{
			SerialNumber: big.NewInt(int64(i) + 2), Subject: pkix.Name{CommonName: who.name},
			NotBefore: ca.NotBefore, NotAfter: ca.NotAfter, KeyUsage: x509.KeyUsageDigitalSignature,
			// Servers are each other's clients.
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
			DNSNames:    []string{ServerName}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		}
		*who.cert, *who.key = filepath.Join(dir, who.name+".crt"), filepath.Join(dir, who.name+".key")
		writePEM(tb, *who.cert, "CERTIFICATE", sign(tb, leaf, ca, key, caKey))
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			tb.Fatalf("redistest: %v", err)
		}
		writePEM(tb, *who.key, "PRIVATE KEY", der)
	}
	pair, err := tls.LoadX509KeyPair(c.ClientCertFile, c.ClientKeyFile)
	if err != nil {
		tb.Fatalf("redistest: %v", err)
	}
	pool := x509.NewCertPool()
	text, err := os.ReadFile(c.CAFile)
	if err != nil || !pool.AppendCertsFromPEM(text) {
		tb.Fatalf("redistest: the CA's file cannot be read: %v", err)
	}
	c.trust = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool, Certificates: []tls.Certificate{pair}}
	return c
}

// WithTLS makes the server, and those around it, speak nothing but TLS, to clients
// with a certificate of the CA only.
func WithTLS(c *Certificates) Option { return func(s *Server) { s.certs = c } }

// client is nil without certificates.
func (c *Certificates) client() *tls.Config {
	if c == nil {
		return nil
	}
	return c.trust.Clone()
}

func newKey(tb testing.TB) *ecdsa.PrivateKey {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatalf("redistest: %v", err)
	}
	return key
}

func sign(tb testing.TB, leaf, issuer *x509.Certificate, key, issuerKey *ecdsa.PrivateKey) []byte {
	tb.Helper()
	der, err := x509.CreateCertificate(rand.Reader, leaf, issuer, key.Public(), issuerKey)
	if err != nil {
		tb.Fatalf("redistest: %v", err)
	}
	return der
}

func writePEM(tb testing.TB, path, kind string, der []byte) {
	tb.Helper()
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		tb.Fatalf("redistest: %v", err)
	}
}
