package main

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// asCommand makes the test binary the command itself.
const asCommand = "CHDB_TEST_AS_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

func command(ctx context.Context, temp string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, os.Args[0], args...) //nolint:gosec // this very binary
	cmd.Env = append(os.Environ(), asCommand+"=1", "TMPDIR="+temp)
	cmd.Stderr = os.Stderr
	return cmd
}

func TestFetchPrintsThePath(t *testing.T) {
	t.Parallel()
	out, err := command(t.Context(), t.TempDir(), "fetch").Output()
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(strings.TrimSpace(string(out))); err != nil || info.Size() < 100<<20 {
		t.Errorf("printed %q: %v", out, err)
	}
}

// serve says where it listens, ends well on a signal and leaves nothing but
// the data directory it was given, which the next one finds.
func TestServe(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	for _, tt := range []struct {
		signal os.Signal
		args   []string
		sql    string
		want   string
	}{
		{os.Interrupt, []string{"--data=" + data, "--database=otel"}, "CREATE TABLE otel.t ENGINE = MergeTree ORDER BY a AS SELECT 42 AS a", ""},
		{syscall.SIGTERM, []string{"--data=" + data, "--database=otel"}, "SELECT a FROM otel.t", "42\n"},
		{syscall.SIGTERM, nil, "SELECT 1", "1\n"},
	} {
		temp := t.TempDir()
		cmd := command(t.Context(), temp, append([]string{"serve", "--listen=127.0.0.1:0"}, tt.args...)...)
		stdout, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		line, err := bufio.NewReader(stdout).ReadString('\n')
		address, ok := strings.CutPrefix(strings.TrimSpace(line), "listening on ")
		if !ok {
			t.Fatalf("it said %q, %v", line, err)
		}
		if got := post(t, "http://"+address+"/", tt.sql); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.sql, got, tt.want)
		}
		if err := cmd.Process.Signal(tt.signal); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("after %v: %v", tt.signal, err)
		}
		if left, err := os.ReadDir(temp); err != nil || len(left) != 0 {
			t.Errorf("left behind: %v, %v", left, err)
		}
	}
}

func post(t *testing.T, address, sql string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, strings.NewReader(sql))
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if err := res.Body.Close(); err != nil {
		t.Fatal(err)
	}
	return string(body)
}
