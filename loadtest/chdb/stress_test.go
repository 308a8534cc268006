//go:build linux

package chdb_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"golang.org/x/sync/errgroup"

	"github.com/atlhyper/observe/loadtest/chdb/chdbtest"
)

const (
	stressClients = 64
	// stressDuration is how long TestStress lasts unless CHDB_STRESS_DURATION
	// says otherwise.
	stressDuration = time.Minute
)

// usage is what a process holds.
type usage struct {
	rss     int // MiB
	threads int
	files   int
}

func usageOf(t *testing.T, pid int) usage {
	t.Helper()
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	status, err := os.ReadFile(filepath.Join(dir, "status"))
	if err != nil {
		t.Fatal(err)
	}
	field := func(name string) int {
		_, rest, _ := strings.Cut(string(status), name+":")
		n, err := strconv.Atoi(strings.Fields(rest)[0])
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	files, err := os.ReadDir(filepath.Join(dir, "fd"))
	if err != nil {
		t.Fatal(err)
	}
	return usage{rss: field("VmRSS") / 1024, threads: field("Threads"), files: len(files)}
}

// stressClient is one of the clients of TestStress, with a table of its own,
// so that it knows what every answer must be.
type stressClient struct {
	dsn       string
	configure func(*clickhouse.Options)
	conn      clickhouse.Conn
	table     string
	rows, sum uint64 // of its table
}

// open connects the client for a while.
func (c *stressClient) open() error {
	opts, err := clickhouse.ParseDSN(c.dsn)
	if err != nil {
		return err
	}
	c.configure(opts)
	c.conn, err = clickhouse.Open(opts)
	return err
}

// insert adds a batch of rows.
func (c *stressClient) insert(ctx context.Context, rng *rand.Rand) error {
	batch, err := c.conn.PrepareBatch(ctx, "INSERT INTO "+c.table)
	if err != nil {
		return err
	}
	var sum uint64
	n := uint64(1 + rng.IntN(200))
	for range n {
		v := rng.Uint64N(1 << 32)
		sum += v
		if err := batch.Append(v, map[string]string{"v": strconv.FormatUint(v, 10)}, []string{"x", c.table}); err != nil {
			return err
		}
	}
	if err := batch.Send(); err != nil {
		return err
	}
	c.rows += n
	c.sum += sum
	return nil
}

// aggregate checks the table's content with bound parameters.
func (c *stressClient) aggregate(ctx context.Context, _ *rand.Rand) error {
	var rows, sum, parsed uint64
	err := c.conn.QueryRow(ctx, "SELECT count(), sum(v), sum(toUInt64(m['v'])) FROM "+c.table+" WHERE has(tags, {tag:String})",
		clickhouse.Named("tag", c.table)).Scan(&rows, &sum, &parsed)
	if err == nil && (rows != c.rows || sum != c.sum || parsed != c.sum) {
		err = fmt.Errorf("wrong answer: %d rows that add up to %d and %d, want %d and %d", rows, sum, parsed, c.rows, c.sum)
	}
	return err
}

// stream reads an answer of several blocks.
func (c *stressClient) stream(ctx context.Context, rng *rand.Rand) (err error) {
	n := uint64(100_000 + rng.IntN(100_000))
	rows, err := c.conn.Query(ctx, "SELECT number, concat('row ', toString(number)) FROM numbers(?)", n)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	var next, got uint64
	var text string
	for ; rows.Next(); next++ {
		if err := rows.Scan(&got, &text); err != nil {
			return err
		}
		if got != next || text != fmt.Sprint("row ", got) {
			return fmt.Errorf("wrong answer: row %d is %d, %q", next, got, text)
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	if next != n {
		return fmt.Errorf("wrong answer: %d rows, want %d", next, n)
	}
	return nil
}

// fail checks that an error is the own one.
func (c *stressClient) fail(ctx context.Context, rng *rand.Rand) error {
	want := fmt.Sprintf("my error %d", rng.Uint64())
	err := c.conn.QueryRow(ctx, "SELECT throwIf(number = 3, ?) FROM numbers(10)", want).Scan(new(uint8))
	if ex, ok := errors.AsType[*clickhouse.Exception](err); !ok || ex.Code != 395 || !strings.Contains(ex.Message, want) {
		return fmt.Errorf("want the error %q, got: %w", want, err)
	}
	return nil
}

// hangUp starts a statement that would take minutes and goes away.
func (c *stressClient) hangUp(ctx context.Context, rng *rand.Rand) error {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(1+rng.IntN(50))*time.Millisecond)
	defer cancel()
	err := c.conn.QueryRow(ctx, "SELECT sum(cityHash64(number)) FROM numbers(100000000000) SETTINGS max_threads = 1").Scan(new(uint64))
	if !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("want the deadline exceeded, got: %w", err)
	}
	return nil
}

// TestStress has 64 clients work side by side and checks every answer, and
// that the server holds no more afterwards than before.
func TestStress(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute")
	}
	duration := stressDuration
	if v := os.Getenv("CHDB_STRESS_DURATION"); v != "" {
		var err error
		if duration, err = time.ParseDuration(v); err != nil {
			t.Fatal(err)
		}
	}
	srv := chdbtest.Start(t)
	db := srv.Database(t)
	clients := make([]*stressClient, stressClients)
	methods := slices.Sorted(maps.Keys(compressions))
	for i := range clients {
		c := &stressClient{dsn: srv.DSN(db), configure: compressions[methods[i%len(methods)]], table: fmt.Sprintf("t%d", i)}
		srv.Exec(t, "CREATE TABLE "+db+"."+c.table+" (v UInt64, m Map(LowCardinality(String), String), tags Array(String)) ENGINE = MergeTree ORDER BY v")
		clients[i] = c
	}
	stress(t, clients, duration/6) // what is allocated once is not a leak
	warm := usageOf(t, srv.Pid())
	done := stress(t, clients, duration)
	var after usage
	// A little more for the engine's caches and merges; it keeps three files
	// open per thread. Thousands of statements would leave more than that.
	limit := usage{rss: warm.rss*11/10 + 64, threads: warm.threads + 16, files: warm.files + 3*16}
	waitFor(t, "the server to hold as little as before", func() bool {
		after = usageOf(t, srv.Pid())
		return after.rss <= limit.rss && after.threads <= limit.threads && after.files <= limit.files
	})
	// Those whose client has just hung up are still being killed.
	waitFor(t, "all statements to end", func() bool {
		out, err := srv.Query(t.Context(), "default", "SELECT count() FROM system.processes")
		if err != nil {
			t.Fatal(err)
		}
		return out == "1\n"
	})
	t.Logf("%d statements in %v; before %+v, after %+v", done, duration, warm, after)
}

// stress has the clients work for a while and returns how many steps they did.
func stress(t *testing.T, clients []*stressClient, duration time.Duration) int64 {
	t.Helper()
	steps := []func(*stressClient, context.Context, *rand.Rand) error{
		(*stressClient).insert, (*stressClient).aggregate, (*stressClient).aggregate,
		(*stressClient).stream, (*stressClient).fail, (*stressClient).hangUp,
	}
	end := time.Now().Add(duration)
	var done atomic.Int64
	group, ctx := errgroup.WithContext(t.Context())
	for i, c := range clients {
		group.Go(func() (err error) {
			if err := c.open(); err != nil {
				return err
			}
			defer func() { err = errors.Join(err, c.conn.Close()) }()
			rng := rand.New(rand.NewPCG(uint64(i), 0)) //nolint:gosec // a repeatable choice of steps
			for time.Now().Before(end) && ctx.Err() == nil {
				step := rng.IntN(len(steps))
				if err := steps[step](c, ctx, rng); err != nil {
					return fmt.Errorf("client %d, step %d: %w", i, step, err)
				}
				done.Add(1)
			}
			return c.aggregate(ctx, rng)
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	return done.Load()
}
