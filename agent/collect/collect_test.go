package collect_test

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/atlhyper/observe/agent/collect"
	"github.com/atlhyper/observe/redis/conn"
	"github.com/atlhyper/observe/redis/conn/conntest"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/redis/redistest"
	"github.com/atlhyper/observe/redis/snapshot"
	"github.com/atlhyper/observe/shared/codec"
	"github.com/atlhyper/observe/shared/fault"
	"github.com/atlhyper/observe/shared/model"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// recorder hands every publish to the test; errs are the errors it returns first.
type recorder struct {
	published chan []snapshot.Update
	errs      chan error
}

func newRecorder(errs ...error) *recorder {
	r := &recorder{published: make(chan []snapshot.Update, 1000), errs: make(chan error, len(errs))}
	for _, err := range errs {
		r.errs <- err
	}
	return r
}

func (r *recorder) Publish(_ context.Context, updates []snapshot.Update) (snapshot.Published, error) {
	r.published <- updates
	select {
	case err := <-r.errs:
		return snapshot.Published{}, err
	default:
		return snapshot.Published{}, nil
	}
}

// next waits for a publish that holds the section.
func (r *recorder) next(t *testing.T, name model.Section) snapshot.Update {
	t.Helper()
	for {
		select {
		case updates := <-r.published:
			for _, u := range updates {
				if u.Name == name {
					return u
				}
			}
		case <-t.Context().Done():
			t.Fatalf("%s was never published", name)
		}
	}
}

type table = []collect.Section[int]

// run runs a collector with the table until the test ends; rounds are numbered.
func run(t *testing.T, sections table, change func(*collect.Config[int])) {
	t.Helper()
	rounds := 0
	cfg := collect.Config[int]{
		Sections: sections,
		Begin:    func(context.Context, time.Time) int { rounds++; return rounds },
		Interval: 5 * time.Millisecond,
		Timeout:  time.Minute,
		Flush:    time.Millisecond,
	}
	change(&cfg)
	c, err := collect.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

func value(v any) func(context.Context, int) (any, error) {
	return func(context.Context, int) (any, error) { return v, nil }
}

// On a clock of its own, on which nothing takes time: a round ends before the next one
// begins.
func TestARoundIsSharedAndPublishedTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecorder()
		round := func(_ context.Context, n int) (any, error) { return int64(n), nil }
		run(t, table{{Name: "a", Collect: round, Window: time.Minute}, {Name: "b", Collect: round}}, func(c *collect.Config[int]) {
			c.Publisher, c.Flush = r, time.Minute
			c.Reads = func(round int, name model.Section) snapshot.Reads {
				return snapshot.Reads{Statements: int64(round), Rows: int64(name[0])}
			}
		})
		for want := int64(1); want <= 3; want++ {
			updates := <-r.published
			var names []string
			for _, u := range updates {
				names = append(names, string(u.Name))
				var got int64
				if err := codec.Decode(u.Data, &got); err != nil || got != want {
					t.Errorf("%s of round %d holds %d, %v", u.Name, want, got, err)
				}
				if u.Reads != (snapshot.Reads{Statements: want, Rows: int64(u.Name[0])}) {
					t.Errorf("%s of round %d read %+v", u.Name, want, u.Reads)
				}
				if u.Name == "a" && u.Window != time.Minute {
					t.Errorf("window %s, want 1m", u.Window)
				}
			}
			if slices.Sort(names); !slices.Equal(names, []string{"a", "b"}) {
				t.Fatalf("published %v, want a and b in one step", names)
			}
		}
	})
}

func TestASlowSectionHoldsNobodyBackAndRunsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecorder()
		release := make(chan struct{})
		starts := make(chan struct{}, 100)
		slow := func(context.Context, int) (any, error) {
			starts <- struct{}{}
			<-release
			return "slow", nil
		}
		run(t, table{{Name: "fast", Collect: value("x")}, {Name: "slow", Collect: slow}}, func(c *collect.Config[int]) { c.Publisher = r })
		for range 4 {
			if u := r.next(t, "fast"); u.Err != "" {
				t.Errorf("fast failed: %s", u.Err)
			}
		}
		synctest.Wait()
		if n := len(starts); n != 1 {
			t.Errorf("the slow section was started %d times while it ran", n)
		}
		close(release)
		if u := r.next(t, "slow"); u.Err != "" || u.Data == nil {
			t.Errorf("slow: %+v", u)
		}
	})
}

func TestTimeoutIsReportedAndTheLateValueDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecorder()
		release := make(chan struct{})
		deaf := func(_ context.Context, round int) (any, error) { // does not heed its context
			if round == 1 {
				<-release
				return "too late", nil
			}
			return "good", nil
		}
		run(t, table{{Name: "deaf", Collect: deaf}}, func(c *collect.Config[int]) { c.Publisher, c.Timeout = r, 50*time.Millisecond })
		u := r.next(t, "deaf")
		if u.Data != nil || u.Err != "the collection did not end within 50ms" {
			t.Errorf("update %+v, want the timeout", u)
		}
		close(release)
		var got string
		if err := codec.Decode(r.next(t, "deaf").Data, &got); err != nil || got != "good" {
			t.Errorf("published %q, %v after the timeout", got, err)
		}
	})
}

func TestFailuresAreSaidWithoutSecrets(t *testing.T) {
	for name, c := range map[string]struct {
		collect func(context.Context, int) (any, error)
		says    string
	}{
		"fault":   {func(context.Context, int) (any, error) { return nil, fault.New(fault.AgentError, "ClickHouse is away") }, "ClickHouse is away"},
		"foreign": {func(context.Context, int) (any, error) { return nil, errors.New("password=hunter2") }, "the agent's log has the cause"},
		"panic":   {func(context.Context, int) (any, error) { panic("hunter2") }, "the agent's log has the cause"},
		"NaN":     {value(math.NaN()), "the agent's log has the cause"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRecorder()
			run(t, table{{Name: "good", Collect: value(1)}, {Name: "bad", Collect: c.collect}}, func(c *collect.Config[int]) { c.Publisher = r })
			u := r.next(t, "bad")
			if u.Data != nil || !strings.Contains(u.Err, c.says) || strings.Contains(u.Err, "hunter2") {
				t.Errorf("update %+v, want an error that says %q", u, c.says)
			}
			if u := r.next(t, "good"); u.Err != "" {
				t.Errorf("the good section failed too: %s", u.Err)
			}
		})
	}
}

func TestPublishingIsTriedAgain(t *testing.T) {
	away := errors.New("connection refused")
	r := newRecorder(away, away)
	run(t, table{{Name: "a", Collect: value(1)}}, func(c *collect.Config[int]) {
		c.Publisher, c.Interval = r, time.Hour // no second round within the test
	})
	first, second, third := <-r.published, <-r.published, <-r.published
	if len(first) != 1 || len(second) != 0 || len(third) != 0 {
		t.Errorf("published %d, %d, %d updates; want the update once, then tries with what the publisher kept", len(first), len(second), len(third))
	}
}

// A Collector that was ended goes on when it is run again: what was running is
// collected anew, and nothing is published of what came too late.
func TestRunAgain(t *testing.T) {
	r := newRecorder()
	started, rounds := make(chan struct{}), 0
	c, err := collect.New(collect.Config[int]{
		Sections: table{{Name: "a", Collect: value("x")}, {Name: "b", Collect: func(_ context.Context, round int) (any, error) {
			if round == 1 {
				started <- struct{}{}
				<-started
			}
			return int64(round), nil
		}}},
		Begin:     func(context.Context, time.Time) int { rounds++; return rounds },
		Publisher: r, Interval: time.Hour, Timeout: time.Minute, Flush: time.Hour,
	})
	if err != nil {
		t.Fatal(err)
	}
	for round := 1; round <= 2; round++ {
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- c.Run(ctx) }()
		if round == 1 {
			<-started
			cancel()
			started <- struct{}{}
		} else {
			updates := <-r.published
			cancel()
			for _, u := range updates {
				if u.Name == "b" && string(u.Data) != string(must(codec.Encode(int64(2)))) {
					t.Errorf("b is %x, want that of the second round", u.Data)
				}
			}
			if len(updates) != 2 {
				t.Errorf("published %d sections, want both once", len(updates))
			}
		}
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
	if len(r.published) > 0 {
		t.Errorf("published besides: %+v", <-r.published)
	}
}

// What ends when the Collector was told to end is not published, though there was no time
// yet to heed that.
func TestNothingIsPublishedAfterTheEnd(t *testing.T) {
	for range 20 { // which of both it sees first is chance
		synctest.Test(t, func(t *testing.T) {
			log := held{slog.DiscardHandler, make(chan struct{})}
			r := newRecorder()
			c, err := collect.New(collect.Config[int]{
				Sections: table{
					{Name: "a", Collect: func(context.Context, int) (any, error) { return nil, errors.New("it failed") }},
					{Name: "b", Collect: func(ctx context.Context, _ int) (any, error) { <-ctx.Done(); return "late", nil }},
				},
				Begin:     func(context.Context, time.Time) int { return 0 },
				Publisher: r, Interval: time.Hour, Timeout: time.Minute, Flush: time.Hour, Logger: slog.New(log),
			})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- c.Run(ctx) }()
			synctest.Wait() // it tells of a's failure
			cancel()
			synctest.Wait() // b has returned
			close(log.release)
			if err := <-ended; err != nil {
				t.Error(err)
			}
			if len(r.published) > 0 {
				t.Errorf("published %+v", <-r.published)
			}
		})
	}
}

// held is a log on which every line waits until release is closed.
type held struct {
	slog.Handler
	release chan struct{}
}

func (held) Enabled(context.Context, slog.Level) bool { return true }

func (h held) Handle(context.Context, slog.Record) error {
	<-h.release
	return nil
}

func must(data []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return data
}

// With the real store: what is published can be read, and after Redis lost
// everything the next publish is complete though nothing changed.
func TestOnRedis(t *testing.T) {
	server := redistest.Start(t)
	clients := conntest.Open(t, conn.Config{URL: server.URL()})
	const cluster = key.Cluster("c1")
	writer, err := snapshot.NewWriter(clients, snapshot.WriterConfig{Cluster: cluster, Instance: "a1", Interval: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	run(t, table{
		{Name: "a", Collect: value("constant")},
		{Name: "b", Collect: func(_ context.Context, n int) (any, error) { return int64(n), nil }},
	}, func(c *collect.Config[int]) { c.Publisher = writer })

	reader := snapshot.NewReader(clients, snapshot.ReaderConfig{})
	read := func(name model.Section) string {
		var text string
		redistest.Eventually(t, string(name)+" is there", func() bool {
			s, err := reader.Section(t.Context(), cluster, name)
			if err != nil {
				return false
			}
			json, err := codec.ToJSON(nil, s.Data)
			text = string(json)
			return err == nil
		})
		return text
	}
	if got := read("a"); got != `"constant"` {
		t.Errorf("a is %s", got)
	}
	server.FlushAll()
	if got := read("a"); got != `"constant"` {
		t.Errorf("after Redis was emptied a is %s", got)
	}
	if got := read("b"); got == "" {
		t.Error("b is gone")
	}
}
