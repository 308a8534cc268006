// Package chdbtest gives tests a real ClickHouse: the embedded engine of
// package chdb in a process of its own, on a free port of 127.0.0.1, gone
// with the test.
//
// A package with one such test calls [Start]. A package with many keeps one
// engine for all of them and gives each test a database of its own:
//
//	var engine chdbtest.Shared
//
//	func TestMain(m *testing.M) { os.Exit(engine.Run(m)) }
//
//	func TestQuery(t *testing.T) {
//		srv := engine.Server(t)
//		conn := srv.Open(t, srv.Database(t))
//		...
//	}
package chdbtest

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// Server is a running engine.
type Server struct {
	// Addr is its HTTP address, "127.0.0.1:PORT".
	Addr string

	process *process
}

// Option adds to the command line of the engine's process.
type Option func(args []string) []string

// WithArgs adds flags of "chdb serve", such as "--max-concurrent=4".
func WithArgs(flags ...string) Option {
	return func(args []string) []string { return append(args, flags...) }
}

// Start runs an engine until the test ends. The first time on a machine it
// fetches the engine, which takes a while.
func Start(tb testing.TB, opts ...Option) *Server {
	tb.Helper()
	srv, err := start(tb.Context(), opts)
	if err != nil {
		tb.Fatalf("chdbtest: %v", err)
	}
	tb.Cleanup(func() {
		if err := srv.stop(); err != nil {
			tb.Errorf("chdbtest: %v", err)
		}
	})
	return srv
}

// Shared is one engine for the tests of a package, started by the first test
// that asks for it. The zero value is ready.
type Shared struct {
	// Options are those of the engine.
	Options []Option

	mu  sync.Mutex
	srv *Server // guarded by mu
	err error   // guarded by mu: why it did not start
}

// Run runs the tests and stops the engine afterwards; it returns the exit
// code for TestMain.
func (s *Shared) Run(m *testing.M) int {
	code := m.Run()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.srv == nil {
		return code
	}
	if err := s.srv.stop(); err != nil {
		fmt.Fprintln(os.Stderr, "chdbtest:", err)
		return max(code, 1)
	}
	return code
}

// Server returns the engine, starting it when there is none yet.
func (s *Shared) Server(tb testing.TB) *Server {
	tb.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.srv == nil && s.err == nil {
		// It outlives the test that starts it.
		s.srv, s.err = start(context.WithoutCancel(tb.Context()), s.Options)
	}
	if s.err != nil {
		tb.Fatalf("chdbtest: %v", s.err)
	}
	return s.srv
}

// DSN is the address of a database in the form of clickhouse.ParseDSN:
// http://127.0.0.1:PORT/DATABASE.
func (s *Server) DSN(database string) string {
	return (&url.URL{Scheme: "http", Host: s.Addr, Path: "/" + database}).String()
}

// Pid is the process of the engine.
func (s *Server) Pid() int { return s.process.cmd.Process.Pid }

// Kill ends the engine's process at once, as a crash of the engine would.
func (s *Server) Kill(tb testing.TB) {
	tb.Helper()
	if err := s.process.kill(); err != nil {
		tb.Fatalf("chdbtest: %v", err)
	}
}

// Open connects clickhouse-go over HTTP to a database until the test ends.
// Changes to the options are made by configure.
func (s *Server) Open(tb testing.TB, database string, configure ...func(*clickhouse.Options)) driver.Conn {
	tb.Helper()
	opts, err := clickhouse.ParseDSN(s.DSN(database))
	if err != nil {
		tb.Fatalf("chdbtest: %v", err)
	}
	for _, f := range configure {
		f(opts)
	}
	conn, err := clickhouse.Open(opts)
	if err != nil {
		tb.Fatalf("chdbtest: %v", err)
	}
	tb.Cleanup(func() {
		if err := conn.Close(); err != nil {
			tb.Errorf("chdbtest: %v", err)
		}
	})
	return conn
}

var notName = regexp.MustCompile(`[^A-Za-z0-9]+`)

// Database creates a database of the test's own and drops it at its end.
func (s *Server) Database(tb testing.TB) string {
	tb.Helper()
	name := strings.ToLower(notName.ReplaceAllString(tb.Name(), "_"))
	name = fmt.Sprintf("%.40s_%.8s", name, strings.ToLower(rand.Text()))
	s.Exec(tb, "CREATE DATABASE "+name)
	tb.Cleanup(func() {
		// tb.Context has ended by now.
		if _, err := s.Query(context.Background(), "default", "DROP DATABASE IF EXISTS "+name+" SYNC"); err != nil {
			tb.Errorf("chdbtest: %v", err)
		}
	})
	return name
}

// Exec runs a statement in the database "default" and fails the test when it fails.
func (s *Server) Exec(tb testing.TB, sql string) {
	tb.Helper()
	if _, err := s.Query(tb.Context(), "default", sql); err != nil {
		tb.Fatalf("chdbtest: %v", err)
	}
}

// Query runs one statement and returns its answer, tab-separated unless the
// statement has a FORMAT clause.
func (s *Server) Query(ctx context.Context, database, sql string) (string, error) {
	address := "http://" + s.Addr + "/?" + url.Values{"database": {database}}.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(sql))
	if err != nil {
		return "", err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	body, err := io.ReadAll(res.Body)
	if closeErr := res.Body.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return "", err
	}
	if res.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s: %s", res.Status, bytes.TrimSpace(body))
	}
	return string(body), nil
}
