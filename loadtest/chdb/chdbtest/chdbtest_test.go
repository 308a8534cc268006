package chdbtest_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/atlhyper/observe/loadtest/chdb/chdbtest"
)

// childEnv makes the test binary the test process that gets killed.
const childEnv = "CHDBTEST_CHILD"

var shared chdbtest.Shared

func TestMain(m *testing.M) { os.Exit(shared.Run(m)) }

func TestDatabasesAreSeparate(t *testing.T) { //nolint:paralleltest // its subtest has to end first
	srv := shared.Server(t)
	var first string
	t.Run("one", func(t *testing.T) {
		first = srv.Database(t)
		if second := srv.Database(t); second == first {
			t.Errorf("twice %s", first)
		}
		conn := srv.Open(t, first)
		if err := conn.Exec(t.Context(), "CREATE TABLE t (a UInt8) ENGINE = MergeTree ORDER BY a"); err != nil {
			t.Fatal(err)
		}
		if _, err := srv.Query(t.Context(), first, "SELECT * FROM t"); err != nil {
			t.Error(err)
		}
	})
	out, err := srv.Query(t.Context(), "default", "SELECT count() FROM system.databases WHERE name = '"+first+"'")
	if err != nil || out != "0\n" {
		t.Errorf("%s is still there: %q, %v", first, out, err)
	}
}

// The engine ends when the test process is killed and cannot clean up.
func TestEngineDiesWithTheTest(t *testing.T) {
	if os.Getenv(childEnv) != "" {
		fmt.Fprintln(os.Stdout, "address", shared.Server(t).Addr)
		<-t.Context().Done()
	}
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestEngineDiesWithTheTest$") //nolint:gosec // this very binary
	cmd.Env = append(os.Environ(), childEnv+"=1", "TMPDIR="+t.TempDir())
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	address, ok := strings.CutPrefix(strings.TrimSpace(line), "address ")
	if !ok {
		t.Fatalf("the child said %q, %v", line, err)
	}
	if err := dial(t.Context(), address); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Error("the child ended well although it was killed")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for dial(ctx, address) == nil {
		select {
		case <-ctx.Done():
			t.Fatal("the engine still listens")
		case <-ticker.C:
		}
	}
}

func dial(ctx context.Context, address string) error {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	return conn.Close()
}
