package conn_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/atlhyper/observe/redis/conn"
	"github.com/atlhyper/observe/redis/conn/conntest"
	"github.com/atlhyper/observe/redis/redistest"
	"github.com/atlhyper/observe/shared/fault"
)

func TestMain(m *testing.M) { redistest.VerifyTestMain(m) }

func TestOpenAndPing(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string][]redistest.Option{
		"tcp":      nil,
		"unix":     {redistest.WithUnixSocket()},
		"password": {redistest.WithArgs("--requirepass", "hunter2")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t, opts...)
			address := s.URL()
			if name == "password" {
				u, err := url.Parse(address)
				if err != nil {
					t.Fatal(err)
				}
				u.User = url.UserPassword("", "hunter2")
				address = u.String()
			}
			c := conntest.Open(t, conn.Config{URL: address, ClientName: "test"})
			if err := c.Ping(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

// Neither an error nor a log line holds the password or, for users, the address.
func TestNoSecrets(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, redistest.WithArgs("--requirepass", "other"))
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	for _, address := range []string{
		"redis://u:hunter2@127.0.0.1:bad", "http://u:hunter2@127.0.0.1", "redis://u:hunter2@h/db?x=%zz", "redis://u:hunter2@h:1/1?nonsense=1", "",
	} {
		_, err := conn.Open(conn.Config{URL: address, Logger: logger})
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("Open(%q): %v", address, err)
		}
	}
	c := conntest.Open(t, conn.Config{URL: strings.Replace(s.URL(), "redis://", "redis://:hunter2@", 1), Logger: logger})
	err := c.Ping(t.Context())
	if !fault.Is(err, fault.StoreUnavailable) || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("a wrong password: %v", err)
	}
	if m := fault.From(err).Message; m != "Redis refused the command: WRONGPASS" {
		t.Errorf("users read %q", m)
	}
	c.Now()
	if strings.Contains(log.String(), "hunter2") {
		t.Errorf("the log tells the password: %s", log.String())
	}
}

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]conn.Config{
		"PoolSize": {URL: "redis://h", PoolSize: -1}, "DialTimeout": {URL: "redis://h", DialTimeout: -1}, "URL": {},
	} {
		if _, err := conn.Open(cfg); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A command whose answer was cut off is not repeated: it may have been run. The
// library's defaults do repeat it, which shows that the test can fail.
func TestNothingIsRepeated(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(*testing.T) (admin *redis.Client, cut *cutter, url string){
		"single":  cutSingle,
		"cluster": cutCluster,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			admin, cut, address := start(t)
			ours := conntest.Open(t, conn.Config{URL: address})
			defaults := redis.NewUniversalClient(&redis.UniversalOptions{Addrs: []string{cut.addr}, IsClusterMode: name == "cluster"})
			defer func() {
				if err := defaults.Close(); err != nil {
					t.Error(err)
				}
			}()
			for _, c := range []struct {
				what string
				do   func() error
				want int64 // elements that left or came
			}{
				{"the library's defaults", func() error { return defaults.RPush(t.Context(), "{t}list", "x").Err() }, 2},
				{"a command", func() error { return ours.Normal.RPush(t.Context(), "{t}list", "x").Err() }, 1},
				{"a blocking move", func() error { _, err := ours.BlockingMove(t.Context(), "{t}from", "{t}list", time.Minute); return err }, 1},
				{"a pipeline", func() error { return push(t, ours.Normal.Pipeline()) }, 1},
				{"a transaction", func() error { return push(t, ours.Normal.TxPipeline()) }, 1},
				{"a script", func() error {
					_, err := conn.NewScript("return redis.call('RPUSH', KEYS[1], 'x')").Run(t.Context(), ours.Normal, []string{"{t}list"})
					return err
				}, 1},
			} {
				if err := errors.Join(
					admin.Del(t.Context(), "{t}list").Err(), admin.RPush(t.Context(), "{t}from", 1, 2, 3).Err(),
					// So that connections are there, the map of slots is read and scripts are known.
					admin.ScriptLoad(t.Context(), "return redis.call('RPUSH', KEYS[1], 'x')").Err(),
					ours.Ping(t.Context()), defaults.Exists(t.Context(), "{t}").Err(), ours.Normal.Exists(t.Context(), "{t}").Err(),
				); err != nil {
					t.Fatal(err)
				}
				if _, err := ours.BlockingMove(t.Context(), "{t}from", "{t}elsewhere", time.Minute); err != nil {
					t.Fatal(err)
				}
				cut.next.Store(true)
				err := c.do()
				if cut.next.Load() {
					t.Errorf("%s: no answer was cut", c.what)
				}
				n, lenErr := admin.LLen(t.Context(), "{t}list").Result()
				if lenErr != nil {
					t.Fatal(lenErr)
				}
				if n != c.want || (err == nil) != (n == 2) {
					t.Errorf("%s: run %d times, want %d; error %v", c.what, n, c.want, err)
				}
			}
		})
	}
}

func push(t *testing.T, p redis.Pipeliner) error {
	t.Helper()
	p.RPush(t.Context(), "{t}list", "x")
	_, err := p.Exec(t.Context())
	return err
}

func cutSingle(t *testing.T) (admin *redis.Client, cut *cutter, address string) {
	t.Helper()
	s := redistest.Start(t)
	cut = newCutter(t, s.Addr())
	return s.Client(t), cut, "redis://" + cut.addr
}

// cutCluster is a cluster of one server that calls itself by the cutter's address.
func cutCluster(t *testing.T) (admin *redis.Client, cut *cutter, address string) {
	t.Helper()
	s := redistest.Start(t, redistest.WithClusterMode())
	cut = newCutter(t, s.Addr())
	admin = s.Client(t)
	_, port, err := net.SplitHostPort(cut.addr)
	err = errors.Join(err,
		admin.ConfigSet(t.Context(), "cluster-announce-port", port).Err(),
		admin.Do(t.Context(), "CLUSTER", "ADDSLOTSRANGE", 0, 16383).Err())
	if err != nil {
		t.Fatal(err)
	}
	redistest.Eventually(t, "the cluster serves", func() bool {
		info, err := admin.ClusterInfo(t.Context()).Result()
		return err == nil && strings.Contains(info, "cluster_state:ok")
	})
	return admin, cut, "redis-cluster://" + cut.addr
}

// cutter is a proxy that cuts a connection instead of passing the next answer on to a
// request that names the list; the library reads the map of slots when it likes.
type cutter struct {
	addr string
	next atomic.Bool
}

func newCutter(t *testing.T, server string) *cutter {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cutter{addr: l.Addr().String()}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { c.serve(t.Context(), client, server) })
		}
	})
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		serving.Wait()
	})
	return c
}

// serve ends when either side has closed; errors are what it is for.
func (c *cutter) serve(ctx context.Context, client net.Conn, addr string) {
	defer client.Close()
	server, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return
	}
	defer server.Close()
	var up sync.WaitGroup
	var named atomic.Bool // by what this connection asked last
	up.Go(func() {
		defer server.Close()
		request := make([]byte, 64<<10)
		for {
			n, err := client.Read(request)
			if err != nil {
				return
			}
			named.Store(bytes.Contains(request[:n], []byte("{t}list")))
			if _, err := server.Write(request[:n]); err != nil {
				return
			}
		}
	})
	defer up.Wait()
	defer client.Close()
	answer := make([]byte, 64<<10)
	for {
		n, err := server.Read(answer)
		if err != nil || named.Load() && c.next.CompareAndSwap(true, false) {
			return
		}
		if _, err := client.Write(answer[:n]); err != nil {
			return
		}
	}
}

func TestScriptIsSentAgainWhenForgotten(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	c := conntest.Open(t, conn.Config{URL: s.URL()})
	script := conn.NewScript("local x = ARGV[1] ", "return {x, 7, '9'}")
	for range 2 {
		result, err := script.Run(t.Context(), c.Normal, nil, 5)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := conn.Ints(result, 3); err != nil || n[0] != 5 || n[1] != 7 || n[2] != 9 {
			t.Errorf("Ints = %v, %v", n, err)
		}
		if err := c.Normal.ScriptFlush(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
	}
	for _, bad := range []any{nil, "x", []any{}, []any{"a"}, []any{nil}} {
		if _, err := conn.Ints(bad, 1); err == nil {
			t.Errorf("Ints(%v): no error", bad)
		}
	}
	if _, err := conn.Strings([]any{"a", 1}); err == nil {
		t.Error("Strings of a number: no error")
	}
}

func TestUnavailable(t *testing.T) {
	t.Parallel()
	if conn.Unavailable(nil) != nil || conn.Unavailable(redis.Nil) != nil {
		t.Error("nothing is wrong, and yet an error")
	}
	if err := conn.Unavailable(fmt.Errorf("x: %w", context.Canceled)); !errors.Is(err, context.Canceled) || fault.Is(err, fault.StoreUnavailable) {
		t.Errorf("cancelled: %v", err)
	}
	cause := errors.New("dial tcp 10.0.0.1:6379: refused")
	err := conn.Unavailable(cause)
	if m := fault.From(err).Message; m != "Redis cannot be reached" || !errors.Is(err, cause) || fault.From(err).RetryAfter <= 0 {
		t.Errorf("users read %q; %v", m, err)
	}
}

func TestOutageLogsChangesOnly(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	o := conn.Outage{Logger: slog.New(slog.NewTextHandler(&log, nil)), What: "publishing"}
	failure := errors.New("away")
	for _, err := range []error{nil, nil, failure, failure, failure, nil, nil, failure} {
		o.Note(t.Context(), err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	o.Note(ended, nil)
	if got := strings.Count(log.String(), "it fails"); got != 2 {
		t.Errorf("%d lines of failure, want 2:\n%s", got, log.String())
	}
	if got := strings.Count(log.String(), "it works again"); got != 1 {
		t.Errorf("%d lines of recovery, want 1:\n%s", got, log.String())
	}
}

func TestBackoffGrowsToItsBound(t *testing.T) {
	t.Parallel()
	b := conn.Backoff{Min: 100 * time.Millisecond, Max: time.Second}
	for _, ms := range []int{100, 200, 400, 800, 1000, 1000} {
		most := time.Duration(ms) * time.Millisecond
		if got := b.Next(); got < most/2 || got > most {
			t.Errorf("wait %v, want between %v and %v", got, most/2, most)
		}
	}
	b.Reset()
	if got := b.Next(); got > 100*time.Millisecond {
		t.Errorf("after Reset %v", got)
	}
}

func TestScanFindsEveryKey(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	c := conntest.Open(t, conn.Config{URL: s.URL()})
	for i := range 3000 {
		if err := c.Normal.Set(t.Context(), fmt.Sprint("k:", i), 1, 0).Err(); err != nil {
			t.Fatal(err)
		}
	}
	found := map[string]bool{}
	err := conn.Scan(t.Context(), c.Normal, "k:*", func(keys []string) error {
		for _, k := range keys {
			found[k] = true
		}
		return nil
	})
	if err != nil || len(found) != 3000 {
		t.Errorf("found %d, %v", len(found), err)
	}
	stop := errors.New("stop")
	if err := conn.Scan(t.Context(), c.Normal, "k:*", func([]string) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("an error of fn: %v", err)
	}
}
