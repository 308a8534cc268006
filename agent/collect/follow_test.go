package collect_test

import (
	"context"
	"errors"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/atlhyper/observe/agent/collect"
	"github.com/atlhyper/observe/redis/snapshot"
	"github.com/atlhyper/observe/shared/codec"
	"github.com/atlhyper/observe/shared/fault"
	"github.com/atlhyper/observe/shared/model"
)

// source holds sections that the test sets.
type source struct {
	changed chan struct{}

	mu    sync.Mutex
	items map[model.Section]item
}

type item struct {
	value   any
	version uint64
	err     error
}

func newSource(names ...model.Section) *source {
	s := &source{changed: make(chan struct{}, 1), items: make(map[model.Section]item)}
	for _, n := range names {
		s.items[n] = item{value: "first", version: 1}
	}
	return s
}

// set gives the section another value, or an error besides the value it has.
func (s *source) set(name model.Section, value any, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	it := s.items[name]
	if value != nil {
		it.value = value
		it.version++
	}
	it.err = err
	s.items[name] = it
}

// tell says that something changed, and lets it be heard.
func (s *source) tell() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
	synctest.Wait()
}

// panics is a value that cannot even be read.
type panics struct{}

func (s *source) read(name model.Section) (any, uint64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	it := s.items[name]
	if _, ok := it.value.(panics); ok {
		panic("hunter2")
	}
	return it.value, it.version, it.err
}

// published is a publish as the tests compare it: the second it came in, counted from
// the start, and by section the value or "!" and the error.
type published struct {
	Second   int
	Sections map[model.Section]string
}

// timed notes what is published when, and fails while failing says so.
type timed struct {
	t     *testing.T
	start time.Time

	mu      sync.Mutex
	all     []published
	updates []snapshot.Update
	failing func() bool
}

func (p *timed) Publish(_ context.Context, updates []snapshot.Update) (snapshot.Published, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := published{Second: int(time.Since(p.start) / time.Second), Sections: make(map[model.Section]string)}
	for _, u := range updates {
		if u.Err != "" {
			now.Sections[u.Name] = "!" + u.Err
			continue
		}
		var text string
		if err := codec.Decode(u.Data, &text); err != nil {
			p.t.Errorf("%s: %v", u.Name, err)
		}
		now.Sections[u.Name] = text
	}
	p.all = append(p.all, now)
	p.updates = append(p.updates, updates...)
	if p.failing != nil && p.failing() {
		return snapshot.Published{}, errors.New("connection refused")
	}
	return snapshot.Published{}, nil
}

// take returns what was published since it was asked last.
func (p *timed) take() []published {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := p.all
	p.all = nil
	return all
}

// following runs a Follower with an interval of 10 s on a clock of its own, on which
// nothing takes time, until body returns.
func following(t *testing.T, s func() *source, body func(*source, *timed), change ...func(*collect.FollowerConfig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		t.Helper()
		src := s()
		p := &timed{t: t, start: time.Now()}
		cfg := collect.FollowerConfig{
			Name: "test", Sections: slices.Sorted(maps.Keys(src.items)), Read: src.read, Changed: src.changed, Publisher: p,
		}
		for _, f := range change {
			f(&cfg)
		}
		f, err := collect.NewFollower(cfg)
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- f.Run(ctx) }()
		synctest.Wait()
		body(src, p)
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// pass lets time pass and what happens in it end. What is due at its very end may come
// before it or after.
func pass(d time.Duration) {
	timer := time.NewTimer(d)
	<-timer.C
	synctest.Wait()
}

func expect(t *testing.T, what string, got, want []published) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s: published (-want +got)\n%s", what, diff)
	}
}

type texts = map[model.Section]string

func TestFollowerPublishesChangesSoonAndAllEachInterval(t *testing.T) {
	two := func() *source { return newSource("a", "b") }
	following(t, two, func(s *source, p *timed) {
		expect(t, "at the start", p.take(), []published{{0, texts{"a": "first", "b": "first"}}})
		pass(4 * time.Second)
		s.set("a", "second", nil)
		s.tell()
		expect(t, "a change after a while", p.take(), []published{{4, texts{"a": "second"}}})
		for _, v := range []string{"third", "fourth", "fifth"} {
			pass(500 * time.Millisecond)
			s.set("a", v, nil)
			s.tell()
		}
		expect(t, "changes within 2 s", p.take(), nil)
		pass(600 * time.Millisecond)
		expect(t, "2 s after the last one", p.take(), []published{{6, texts{"a": "fifth"}}})
		s.tell() // and shows the same
		pass(3 * time.Second)
		expect(t, "no change", p.take(), nil)
		pass(time.Second)
		all := texts{"a": "fifth", "b": "first"}
		expect(t, "each interval", p.take(), []published{{10, all}})
		pass(20 * time.Second)
		expect(t, "each interval", p.take(), []published{{20, all}, {30, all}})
	})
}

// Changes never stop, a tick falls between them: two publishes are 2 s apart, and one
// of them each interval is of all.
func TestFollowerKeepsThePause(t *testing.T) {
	two := func() *source { return newSource("a", "b") }
	following(t, two, func(s *source, p *timed) {
		for range 330 {
			pass(100 * time.Millisecond)
			s.set("a", "x", nil)
			s.tell()
		}
		var last published
		whole := 0
		for i, now := range p.take() {
			if i > 0 && now.Second-last.Second < 2 {
				t.Errorf("publishes in the seconds %d and %d", last.Second, now.Second)
			}
			if _, ok := now.Sections["b"]; ok {
				whole++
			}
			last = now
		}
		if whole != 4 {
			t.Errorf("%d publishes of all in 33 s, want one at the start and one each 10 s", whole)
		}
	})
}

func TestFollowerHandsFailuresOver(t *testing.T) {
	three := func() *source {
		s := newSource("a", "b", "c")
		s.items["b"] = item{err: fault.New(fault.Forbidden, "no")}
		s.items["c"] = item{err: fault.New(fault.NotReady, "not yet")}
		return s
	}
	following(t, three, func(s *source, p *timed) {
		expect(t, "what is not read yet is no news", p.take(), []published{{0, texts{"a": "first", "b": "!no"}}})
		pass(10*time.Second + time.Millisecond)
		expect(t, "unless it takes long", p.take(), []published{{10, texts{"a": "first", "b": "!no", "c": "!not yet"}}})
		pass(3 * time.Second)
		s.set("a", nil, fault.New(fault.Forbidden, "no more"))
		s.set("c", "read", nil)
		s.tell()
		expect(t, "a new failure, and one less", p.take(), []published{{13, texts{"a": "!no more", "c": "read"}}})
		pass(3 * time.Second)
		s.set("b", nil, fault.New(fault.Forbidden, "no"))
		s.tell()
		expect(t, "the same failure", p.take(), nil)
		pass(3 * time.Second)
		s.set("a", nil, nil)
		s.tell()
		expect(t, "the value of before", p.take(), []published{{19, texts{"a": "first"}}})
	})
}

// A section that panics, or whose value cannot be encoded, fails alone, and without the
// cause in public.
func TestFollowerOutlivesBadSections(t *testing.T) {
	three := func() *source { return newSource("a", "b", "c") }
	following(t, three, func(s *source, p *timed) {
		p.take()
		pass(3 * time.Second)
		s.set("a", panics{}, nil)
		s.set("b", math.NaN(), nil)
		s.set("c", "good", nil)
		s.tell()
		const reason = "!the collection failed; the agent's log has the cause"
		expect(t, "bad values", p.take(), []published{{3, texts{"a": reason, "b": reason, "c": "good"}}})
		pass(3 * time.Second)
		s.set("a", "mended", nil)
		s.tell()
		expect(t, "mended", p.take(), []published{{6, texts{"a": "mended"}}})
	})
}

// While Redis is away it tries less and less often, at least each interval, and then
// publishes what came meanwhile, also when nothing did: the Publisher kept the rest.
func TestFollowerBacksOff(t *testing.T) {
	one := func() *source { return newSource("a") }
	following(t, one, func(s *source, p *timed) {
		p.mu.Lock()
		p.all, p.failing = nil, func() bool { return time.Since(p.start) < 5*time.Minute }
		p.mu.Unlock()
		pass(2 * time.Second)
		s.set("a", "second", nil)
		s.tell()
		pass(5*time.Minute - 2*time.Second - time.Nanosecond)
		tries := p.take()
		if len(tries) < 30 || len(tries) > 70 {
			t.Errorf("%d tries in 5 minutes", len(tries))
		}
		if tries[0].Sections["a"] != "second" {
			t.Errorf("the change came with %v", tries[0])
		}
		pass(10*time.Second + time.Nanosecond)
		if n := len(p.take()); n == 0 {
			t.Error("no try within an interval after Redis is back")
		}
		pass(2 * time.Second) // the pause after that
		p.take()
		s.set("a", "third", nil)
		s.tell()
		pass(2 * time.Second)
		if all := p.take(); len(all) == 0 || all[0].Sections["a"] != "third" {
			t.Errorf("after it worked again, a change is published as %v", all)
		}
	})
}

// A version is encoded once: what is handed over again are the same bytes.
func TestFollowerEncodesAVersionOnce(t *testing.T) {
	registry := prometheus.NewRegistry()
	two := func() *source { return newSource("a", "b") }
	following(t, two, func(s *source, p *timed) {
		pass(25 * time.Second)
		s.set("a", "second", nil)
		s.set("b", nil, fault.New(fault.Forbidden, "no"))
		s.tell()
		pass(time.Second)
		bytes := make(map[model.Section]map[*byte]bool)
		for _, u := range p.updates {
			if u.CompressAbove != 7 || u.Interval != 10*time.Second || u.At.IsZero() {
				t.Errorf("update %+v", u)
			}
			if u.Err == "" {
				if bytes[u.Name] == nil {
					bytes[u.Name] = make(map[*byte]bool)
				}
				bytes[u.Name][&u.Data[0]] = true
			}
		}
		if len(bytes["a"]) != 2 || len(bytes["b"]) != 1 {
			t.Errorf("a was encoded %d times, b %d", len(bytes["a"]), len(bytes["b"]))
		}
		const want = `
# HELP atlhyper_agent_test_encoded_bytes_total Length of the sections that were found changed, before compression.
# TYPE atlhyper_agent_test_encoded_bytes_total counter
atlhyper_agent_test_encoded_bytes_total 19
# HELP atlhyper_agent_test_looks_total Looks at all sections, each interval and after changes.
# TYPE atlhyper_agent_test_looks_total counter
atlhyper_agent_test_looks_total 4
# HELP atlhyper_agent_test_sections_encoded_total Sections that were found changed.
# TYPE atlhyper_agent_test_sections_encoded_total counter
atlhyper_agent_test_sections_encoded_total 3
# HELP atlhyper_agent_test_sections_failing Sections that could not be read at the last look.
# TYPE atlhyper_agent_test_sections_failing gauge
atlhyper_agent_test_sections_failing 1
`
		if err := testutil.GatherAndCompare(registry, strings.NewReader(want)); err != nil {
			t.Error(err)
		}
	}, func(c *collect.FollowerConfig) { c.Metrics, c.CompressAbove = registry, 7 })
}

// It may be run again: all is handed over anew.
func TestFollowerRunsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := newSource("a"), &timed{t: t, start: time.Now()}
		f, err := collect.NewFollower(collect.FollowerConfig{Name: "test", Sections: []model.Section{"a"}, Read: s.read, Changed: s.changed, Publisher: p})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			ctx, stop := context.WithTimeout(t.Context(), time.Second)
			if err := f.Run(ctx); err != nil {
				t.Error(err)
			}
			stop()
		}
		expect(t, "two runs", p.take(), []published{{0, texts{"a": "first"}}, {1, texts{"a": "first"}}})
	})
}

func TestFollowerConfig(t *testing.T) {
	t.Parallel()
	good := collect.FollowerConfig{Name: "test", Sections: []model.Section{"a"}, Read: newSource().read, Publisher: newRecorder()}
	for name, change := range map[string]func(*collect.FollowerConfig){
		"Name":      func(c *collect.FollowerConfig) { c.Name = "" },
		"Sections":  func(c *collect.FollowerConfig) { c.Sections = nil },
		"Read":      func(c *collect.FollowerConfig) { c.Read = nil },
		"Publisher": func(c *collect.FollowerConfig) { c.Publisher = nil },
		"Interval":  func(c *collect.FollowerConfig) { c.Interval = -1 },
		"Pause":     func(c *collect.FollowerConfig) { c.Pause = -1 },
	} {
		bad := good
		change(&bad)
		if _, err := collect.NewFollower(bad); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v, want an error that names it", name, err)
		}
	}
	if _, err := collect.NewFollower(good); err != nil {
		t.Error(err)
	}
}
