package conn

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/atlhyper/observe/shared/readfile"
)

// Auth is who the process is to Redis, as far as the URL does not say it.
type Auth struct {
	// Username of the ACL user. "" means the URL's, or Redis's "default".
	Username string
	// Password of the user. "" means the URL's or PasswordFile's, or none.
	Password string
	// PasswordFile holds the password; line breaks at its end are not part of it.
	// It is read for every new connection, so that a password can be changed
	// without a restart. "" means none.
	PasswordFile string
	// SentinelUsername is the ACL user at the Sentinels. "" means "default".
	SentinelUsername string
	// SentinelPassword is that user's password; the servers' is never sent to
	// Sentinels. "" means SentinelPasswordFile's, or none.
	SentinelPassword string
	// SentinelPasswordFile holds it. It is read once. "" means none.
	SentinelPasswordFile string
}

// TLS says how servers are trusted and who the client is; all of it is for URLs
// with rediss. Sentinels are spoken to in the same way.
type TLS struct {
	// CAFile is the PEM file of the authorities that may sign servers'
	// certificates. "" means the system's.
	CAFile string
	// CertFile and KeyFile are the PEM files of the client's certificate, read for
	// every new connection, so that it can be renewed without a restart. "" means
	// none; one needs the other.
	CertFile, KeyFile string
	// ServerName is the name that servers' certificates must be for. "" means the
	// host that is connected to, which in Sentinel and Cluster is what the servers
	// announce: often an IP address.
	ServerName string
}

// maxPassword bounds a password file, maxPEM a file of certificates, in bytes.
const (
	maxPassword = 4 << 10
	maxPEM      = 4 << 20
)

func readPassword(path string) (string, error) {
	data, err := readfile.Regular(path, maxPassword)
	if err != nil {
		return "", fmt.Errorf("redis: password file: %w", err)
	}
	data = bytes.TrimRight(data, "\r\n")
	if len(data) == 0 {
		return "", fmt.Errorf("redis: password file: %s: is empty", path)
	}
	return string(data), nil
}

// credentials are what new connections log in with.
type credentials struct {
	username, password, file           string
	sentinelUsername, sentinelPassword string
}

// login settles who says what; each may be said once.
func (c Config) login(a address) (credentials, error) {
	auth := c.Auth
	out := credentials{
		username: auth.Username, password: auth.Password, file: auth.PasswordFile,
		sentinelUsername: auth.SentinelUsername, sentinelPassword: auth.SentinelPassword,
	}
	if a.username != "" && auth.Username != "" {
		return out, errors.New("redis: the user name is in the URL and given besides")
	}
	given := 0
	for _, p := range []string{a.password, auth.Password, auth.PasswordFile} {
		if p != "" {
			given++
		}
	}
	switch {
	case given > 1:
		return out, errors.New("redis: the password is given more than once: in the URL, by itself, in a file")
	case auth.SentinelPassword != "" && auth.SentinelPasswordFile != "":
		return out, errors.New("redis: the Sentinels' password is given twice: by itself and in a file")
	case auth.SentinelUsername+auth.SentinelPassword+auth.SentinelPasswordFile != "" && a.topology != Sentinel:
		return out, errors.New("redis: a user or password for Sentinels needs a redis-sentinel:// URL")
	}
	out.username += a.username
	out.password += a.password
	var err error
	if out.file != "" {
		// Only to tell at once when it cannot be read.
		_, err = readPassword(out.file)
	}
	if err == nil && auth.SentinelPasswordFile != "" {
		out.sentinelPassword, err = readPassword(auth.SentinelPasswordFile)
	}
	if err == nil && out.username != "" && out.password+out.file == "" {
		err = errors.New("redis: there is a user name but no password")
	}
	return out, err
}

// provider reads the password anew, or is nil when there is no file.
func (c credentials) provider() func(context.Context) (string, string, error) {
	if c.file == "" {
		return nil
	}
	return func(context.Context) (string, string, error) {
		password, err := readPassword(c.file)
		return c.username, password, err
	}
}

// tlsConfig is nil for a URL without TLS.
func (c Config) tlsConfig(a address) (*tls.Config, error) {
	if !a.tls {
		if c.TLS != (TLS{}) {
			return nil, errors.New("redis: the files and the server name for TLS need a rediss:// URL")
		}
		return nil, nil //nolint:nilnil // none is not an error
	}
	out := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: c.TLS.ServerName}
	if c.TLS.CAFile != "" {
		pem, err := readfile.Regular(c.TLS.CAFile, maxPEM)
		if err != nil {
			return nil, fmt.Errorf("redis: CA file: %w", err)
		}
		out.RootCAs = x509.NewCertPool()
		if !out.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("redis: CA file: %s: has no PEM certificate", c.TLS.CAFile)
		}
	}
	if (c.TLS.CertFile == "") != (c.TLS.KeyFile == "") {
		return nil, errors.New("redis: a client certificate needs both its certificate file and its key file")
	}
	if c.TLS.CertFile != "" {
		load := func() (*tls.Certificate, error) {
			cert, err := readfile.Regular(c.TLS.CertFile, maxPEM)
			if err != nil {
				return nil, fmt.Errorf("redis: client certificate: %w", err)
			}
			key, err := readfile.Regular(c.TLS.KeyFile, maxPEM)
			if err != nil {
				return nil, fmt.Errorf("redis: key of the client certificate: %w", err)
			}
			pair, err := tls.X509KeyPair(cert, key)
			if err != nil {
				return nil, fmt.Errorf("redis: client certificate: %w", err)
			}
			return &pair, nil
		}
		if _, err := load(); err != nil {
			return nil, err
		}
		out.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return load() }
	}
	return out, nil
}
