//go:build linux || darwin

package chdb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/atlhyper/observe/loadtest/chdb/engine"
)

// Run in this process, to see that it leaves no goroutine, no port and no
// directory behind, not even with statements under way.
func TestRunCleansUp(t *testing.T) {
	// The other tests of the package run in parallel, thus later.
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	lib, err := engine.Ensure(t.Context(), engine.Config{})
	if err != nil {
		t.Fatal(err)
	}
	temp := t.TempDir()
	t.Setenv("TMPDIR", temp)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	listening, ended := make(chan net.Addr, 1), make(chan error, 1)
	go func() {
		ended <- Run(ctx, Config{LibPath: lib, Database: "it's", OnListen: func(a net.Addr) { listening <- a }})
	}()
	var address string
	select {
	case a := <-listening:
		address = "http://" + a.String() + "/"
	case err := <-ended:
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	post := func(sql string) (string, error) {
		res, err := client.Post(address, "", strings.NewReader(sql))
		if err != nil {
			return "", err
		}
		body, err := io.ReadAll(res.Body)
		return string(body), errors.Join(err, res.Body.Close())
	}
	if got, err := post("SELECT count() FROM system.databases WHERE name = 'it\\'s'"); err != nil || got != "1\n" {
		t.Errorf("the database: %q, %v", got, err)
	}
	// Statements that would never end: all places but one taken, and more
	// that wait for the last one or find the server gone.
	const running, more = 7, 5
	answers := make(chan error, running+more)
	stuck := func() {
		body, err := post("SELECT sum(cityHash64(number)) FROM numbers(1000000000000)")
		if err == nil && !strings.Contains(body, "Code: 394.") {
			err = fmt.Errorf("it ended with %q", body)
		}
		answers <- err
	}
	for range running {
		go stuck()
	}
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for range ticker.C {
		out, err := post("SELECT count() FROM system.processes WHERE query LIKE '%cityHash64%' AND query NOT LIKE '%processes%'")
		if err != nil {
			t.Fatal(err)
		}
		if out == fmt.Sprintln(running) {
			break
		}
	}
	for range more {
		go stuck()
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	for range running + more {
		if err := <-answers; err != nil && strings.HasPrefix(err.Error(), "it ended") {
			t.Error(err)
		}
	}
	entries, err := os.ReadDir(temp)
	if err != nil || len(entries) != 0 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	for _, cfg := range []Config{
		{},
		{LibPath: "x", MaxConcurrent: -1},
		{LibPath: "x", MaxMemory: -1},
		{LibPath: "/no/such/libchdb.so"},
		{LibPath: "x", Listen: "no such address"},
	} {
		if err := Run(t.Context(), cfg); err == nil {
			t.Errorf("%+v passed", cfg)
		}
	}
}
