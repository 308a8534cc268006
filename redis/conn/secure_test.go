package conn_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/atlhyper/observe/redis/conn"
	"github.com/atlhyper/observe/redis/conn/conntest"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/redis/redistest"
	"github.com/atlhyper/observe/shared/fault"
)

func write(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Whoever is not what the certificates say is not spoken to, and the reason stays
// out of what users read.
func TestTLSTrustsNobodyElse(t *testing.T) {
	t.Parallel()
	certs, others := redistest.NewCertificates(t), redistest.NewCertificates(t)
	s := redistest.Start(t, redistest.WithTLS(certs))
	good := trust(certs)
	for name, c := range map[string]struct {
		change func(*conn.TLS)
		ok     bool
	}{
		"all is well":             {func(*conn.TLS) {}, true},
		"the address is in it":    {func(c *conn.TLS) { c.ServerName = "" }, true},
		"another name":            {func(c *conn.TLS) { c.ServerName = "other.test" }, false},
		"another authority":       {func(c *conn.TLS) { c.CAFile = others.CAFile }, false},
		"the system's":            {func(c *conn.TLS) { c.CAFile = "" }, false},
		"no client certificate":   {func(c *conn.TLS) { c.CertFile, c.KeyFile = "", "" }, false},
		"another's certificate":   {func(c *conn.TLS) { c.CertFile, c.KeyFile = others.ClientCertFile, others.ClientKeyFile }, false},
		"the server's own is one": {func(c *conn.TLS) { c.CertFile, c.KeyFile = certs.ServerCertFile, certs.ServerKeyFile }, true},
	} {
		files := good
		c.change(&files)
		err := conntest.Open(t, conn.Config{URL: s.URL(), TLS: files}).Ping(t.Context())
		if c.ok && err != nil || !c.ok && !fault.Is(err, fault.StoreUnavailable) {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && fault.From(err).Message != "Redis cannot be reached" {
			t.Errorf("%s: users read %q", name, fault.From(err).Message)
		}
	}
	if err := conntest.Open(t, conn.Config{URL: strings.Replace(s.URL(), "rediss:", "redis:", 1)}).Ping(t.Context()); !fault.Is(err, fault.StoreUnavailable) {
		t.Errorf("without TLS: %v", err)
	}
}

// A client certificate that was renewed serves the next connection.
func TestCertificateIsReadAgain(t *testing.T) {
	t.Parallel()
	certs, others := redistest.NewCertificates(t), redistest.NewCertificates(t)
	s := redistest.Start(t, redistest.WithTLS(certs))
	dir := t.TempDir()
	copyPair := func(from *redistest.Certificates) {
		for name, path := range map[string]string{"crt": from.ClientCertFile, "key": from.ClientKeyFile} {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(dir, name), string(text))
		}
	}
	copyPair(others)
	files := trust(certs)
	files.CertFile, files.KeyFile = filepath.Join(dir, "crt"), filepath.Join(dir, "key")
	c := conntest.Open(t, conn.Config{URL: s.URL(), TLS: files})
	if err := c.Ping(t.Context()); err == nil {
		t.Fatal("a stranger's certificate was taken")
	}
	copyPair(certs)
	if err := c.Ping(t.Context()); err != nil {
		t.Error(err)
	}
}

// A password that is changed in Redis and in the file is used by the next
// connection, without a restart.
func TestPasswordFileIsReadAgain(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	admin := s.Client(t)
	path := write(t, filepath.Join(t.TempDir(), "password"), "first\n")
	set := func(password string) {
		if err := admin.Do(t.Context(), "ACL", "SETUSER", "u", "reset", "on", ">"+password, "+ping").Err(); err != nil {
			t.Fatal(err)
		}
		// It would go on with the connections that it has.
		if err := admin.Do(t.Context(), "CLIENT", "KILL", "USER", "u").Err(); err != nil {
			t.Fatal(err)
		}
	}
	set("first")
	c := conntest.Open(t, conn.Config{URL: s.URL(), Auth: conn.Auth{Username: "u", PasswordFile: path}})
	if err := c.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	set("second")
	redistest.Eventually(t, "the old password is refused", func() bool {
		err := c.Ping(t.Context())
		return err != nil && strings.Contains(fault.From(err).Message, "WRONGPASS")
	})
	write(t, path, "second\r\n")
	redistest.Eventually(t, "the new password is read", func() bool { return c.Ping(t.Context()) == nil })
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	set("second")
	redistest.Eventually(t, "a missing file is an error", func() bool { return c.Ping(t.Context()) != nil })
}

func TestAuthAndTLSAreChecked(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	certs := redistest.NewCertificates(t)
	secret := write(t, filepath.Join(dir, "secret"), "hunter2")
	empty := write(t, filepath.Join(dir, "empty"), "\n")
	long := write(t, filepath.Join(dir, "long"), strings.Repeat("x", 5000))
	nowhere := filepath.Join(dir, "nowhere")
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		cfg  conn.Config
		want string
	}{
		"two users":         {conn.Config{URL: "redis://u:hunter2@h", Auth: conn.Auth{Username: "v"}}, "user name is in the URL"},
		"two passwords":     {conn.Config{URL: "redis://u:hunter2@h", Auth: conn.Auth{PasswordFile: secret}}, "more than once"},
		"file and password": {conn.Config{URL: "redis://h", Auth: conn.Auth{Password: "hunter2", PasswordFile: secret}}, "more than once"},
		"no password":       {conn.Config{URL: "redis://h", Auth: conn.Auth{Username: "u"}}, "no password"},
		"missing file":      {conn.Config{URL: "redis://h", Auth: conn.Auth{PasswordFile: nowhere}}, "nowhere"},
		"empty file":        {conn.Config{URL: "redis://h", Auth: conn.Auth{PasswordFile: empty}}, "is empty"},
		"long file":         {conn.Config{URL: "redis://h", Auth: conn.Auth{PasswordFile: long}}, "larger than 4096"},
		"pipe":              {conn.Config{URL: "redis://h", Auth: conn.Auth{PasswordFile: pipe}}, "not a regular file"},
		"pipe as CA":        {conn.Config{URL: "rediss://h", TLS: conn.TLS{CAFile: pipe}}, "not a regular file"},
		"pipe as key":       {conn.Config{URL: "rediss://h", TLS: conn.TLS{CertFile: certs.ClientCertFile, KeyFile: pipe}}, "key of the client certificate"},
		"no Sentinels":      {conn.Config{URL: "redis://h", Auth: conn.Auth{SentinelPassword: "hunter2"}}, "redis-sentinel"},
		"two for Sentinels": {conn.Config{URL: "redis-sentinel://h/p", Auth: conn.Auth{SentinelPassword: "hunter2", SentinelPasswordFile: secret}}, "twice"},
		"Sentinels' file":   {conn.Config{URL: "redis-sentinel://h/p", Auth: conn.Auth{SentinelPasswordFile: nowhere}}, "nowhere"},
		"TLS without TLS":   {conn.Config{URL: "redis://h", TLS: conn.TLS{CAFile: certs.CAFile}}, "rediss://"},
		"missing CA":        {conn.Config{URL: "rediss://h", TLS: conn.TLS{CAFile: nowhere}}, "CA file"},
		"CA without PEM":    {conn.Config{URL: "rediss://h", TLS: conn.TLS{CAFile: secret}}, "no PEM"},
		"half a pair":       {conn.Config{URL: "rediss://h", TLS: conn.TLS{CertFile: certs.ClientCertFile}}, "both"},
		"not a pair":        {conn.Config{URL: "rediss://h", TLS: conn.TLS{CertFile: certs.ClientCertFile, KeyFile: certs.ServerKeyFile}}, "client certificate"},
	} {
		_, err := conn.Open(c.cfg)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v, want an error about %q", name, err, c.want)
		}
	}
}

// Every shard has its clock, and a cluster of ours has that of its keys' server.
func TestClockOfEachShard(t *testing.T) {
	t.Parallel()
	servers := redistest.StartCluster(t)
	c := conntest.Open(t, conn.Config{URL: servers.URL()})
	if c.Topology() != conn.Cluster {
		t.Errorf("topology %s", c.Topology())
	}
	if err := c.SyncClocks(t.Context()); err != nil {
		t.Fatal(err)
	}
	names := []key.Cluster{"a", "b", "c", "d", "e", "f", "g", "h"}
	shards := map[*conn.Clock]*redistest.Server{}
	for _, name := range names {
		owner, clock := servers.Owner(name.Meta()), c.Clock(name)
		if known, ok := shards[clock]; ok && known != owner {
			t.Errorf("%s has the clock of another server", name)
		}
		shards[clock] = owner
	}
	if len(shards) != 3 {
		t.Errorf("%d clocks, want one for each shard", len(shards))
	}
	at := c.Now()
	if off := c.FromList("a", c.ToList("a", at)).Sub(at).Abs(); off > 10*time.Second {
		t.Errorf("there and back a time is off by %v", off)
	}
	before := c.Clock("a")
	servers.Failover(key.Cluster("a").Meta())
	redistest.Eventually(t, "the new primary's clock is taken", func() bool {
		return c.SyncClocks(t.Context()) == nil && c.Clock("a") != before
	})
}
