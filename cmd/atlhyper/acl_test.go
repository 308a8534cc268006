package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"github.com/atlhyper/observe/redis/conn"
	"github.com/atlhyper/observe/redis/redistest"
)

func runACL(t *testing.T, stdin string, args ...string) (out, notes string, err error) {
	t.Helper()
	var c commands
	parser, err := kong.New(&c, options()...)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse(append([]string{"acl"}, args...)); err != nil {
		return "", "", err
	}
	var stdout, stderr bytes.Buffer
	err = c.Acl.print(strings.NewReader(stdin), &stdout, &stderr)
	return stdout.String(), stderr.String(), err
}

// What is printed goes into redis-cli as it is, and the user can log in.
func TestACLIntoRedisCLI(t *testing.T) {
	t.Parallel()
	cli, err := exec.LookPath("redis-cli")
	if err != nil {
		t.Skip("redis-cli is not in PATH")
	}
	server := redistest.Start(t)
	_, port, _ := strings.Cut(server.Addr(), ":")
	for _, args := range [][]string{
		{"--cluster=east", "--user=a", "--password-file=-"},
		{"--cluster=east", "--user=b", "--password-file=-", "--show-password", "--topology=sentinel"},
		{"--master", "--user=c", "--password-file=-", "--topology=cluster"},
		{"--inspect", "--user=e", "--password-file=-"},
		{"--master", "--user=d", "--password-hash=F52FBD32B2B3B86FF88EF6C490628285F482AF15DDCB29541F94BCF526A3F6C7"},
	} {
		out, _, err := runACL(t, "hunter2\n", args...)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(out, "hunter2") != strings.Contains(strings.Join(args, " "), "--show-password") {
			t.Errorf("%v printed %s", args, out)
		}
		cmd := exec.CommandContext(t.Context(), cli, "-p", port)
		cmd.Stdin = strings.NewReader(out)
		if said, err := cmd.CombinedOutput(); err != nil || strings.TrimSpace(string(said)) != "OK" {
			t.Errorf("redis-cli says %s, %v", said, err)
		}
		_, user, _ := strings.Cut(args[1], "=")
		c, err := conn.Open(conn.Config{URL: server.URL(), Auth: conn.Auth{Username: user, Password: "hunter2"}})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Ping(t.Context()); err != nil {
			t.Errorf("user %s: %v", user, err)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
}

// Redis starts from an ACL file that is made of printed lines.
func TestACLFile(t *testing.T) {
	t.Parallel()
	var lines strings.Builder
	for _, who := range []string{"--cluster=east", "--cluster=west", "--master"} {
		out, _, err := runACL(t, "hunter2", who, "--format=aclfile", "--password-file=-")
		if err != nil {
			t.Fatal(err)
		}
		lines.WriteString(out)
	}
	path := filepath.Join(t.TempDir(), "users.acl")
	if err := os.WriteFile(path, []byte("user default on nopass ~* &* +@all\n"+lines.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	users, err := redistest.Start(t, redistest.WithArgs("--aclfile", path)).Client(t).ACLList(t.Context()).Result()
	if err != nil || len(users) != 4 {
		t.Errorf("users %q, %v", users, err)
	}
}

func TestACLNotes(t *testing.T) {
	t.Parallel()
	for topology, want := range map[string]string{"single": "", "cluster": "every server", "sentinel": "+sentinel|get-master-addr-by-name"} {
		out, notes, err := runACL(t, "", "--master", "--nopass", "--topology="+topology)
		if err != nil || !strings.Contains(notes, want) || strings.Count(out, "\n") != 1 || !strings.Contains(out, " nopass ") {
			t.Errorf("%s: printed %q, noted %q, %v", topology, out, notes, err)
		}
		if strings.Contains(out, "+cluster|slots") != (topology == "cluster") {
			t.Errorf("%s: printed %q", topology, out)
		}
	}
	if out, notes, err := runACL(t, "", "--master"); err != nil || !strings.Contains(out, "PASSWORD") || !strings.Contains(notes, "--password-file") {
		t.Errorf("without a password: %q, %q, %v", out, notes, err)
	}
}

func TestACLBadFlags(t *testing.T) {
	t.Parallel()
	for want, args := range map[string][]string{
		"--cluster":      {},
		"--master":       {"--master", "--cluster=east"},
		"cluster_id":     {"--cluster=E*"},
		"--nopass":       {"--master", "--nopass", "--password-file=-"},
		"64 hexadecimal": {"--master", "--password-hash=12"},
		"topology":       {"--master", "--topology=ring"},
		"needs":          {"--master", "--show-password"},
		"password file":  {"--master", "--password-file=/nowhere/at/all"},
		"1 to 4096":      {"--master", "--password-file=-"},
		"user's name":    {"--master", "--user=a b"},
	} {
		if _, _, err := runACL(t, "\n", args...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want an error about %q", args, err, want)
		}
	}
}
