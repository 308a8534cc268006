package cli

import (
	"crypto/x509"
	"path/filepath"
	"testing"
)

// Where the file system has no authorities, as in an image that holds a binary alone,
// some are trusted none the less.
func TestAuthoritiesWithoutFiles(t *testing.T) {
	empty := t.TempDir()
	t.Setenv("SSL_CERT_FILE", filepath.Join(empty, "no-such-file"))
	t.Setenv("SSL_CERT_DIR", empty)

	pool, err := x509.SystemCertPool()
	if err != nil {
		t.Fatal(err)
	}
	if pool.Equal(x509.NewCertPool()) {
		t.Error("no authority is trusted")
	}
}
