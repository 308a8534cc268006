package flight_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"github.com/atlhyper/observe/master/flight"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type result struct {
	value  int
	shared bool
	err    error
}

// block starts a call that says when it runs and waits to be released or cancelled.
type block struct {
	group   flight.Group[string, int]
	runs    atomic.Int64
	started chan struct{}
	release chan struct{}
	ended   chan error
}

func newBlock() *block {
	return &block{started: make(chan struct{}, 8), release: make(chan struct{}), ended: make(chan error, 8)}
}

func (b *block) fn(ctx context.Context) (int, error) {
	n := b.runs.Add(1)
	b.started <- struct{}{}
	select {
	case <-b.release:
		b.ended <- nil
		return int(n), nil
	case <-ctx.Done():
		b.ended <- ctx.Err()
		return 0, ctx.Err()
	}
}

func (b *block) call(ctx context.Context, key string) <-chan result {
	out := make(chan result, 1)
	go func() {
		v, shared, err := b.group.Do(ctx, key, b.fn)
		out <- result{v, shared, err}
	}()
	return out
}

func TestIdenticalCallsRunOnce(t *testing.T) {
	t.Parallel()
	b := newBlock()
	first := b.call(t.Context(), "k")
	<-b.started

	// Each joins before it waits, and none may start a second run.
	const joiners = 20
	results := make(chan result, joiners)
	var entering sync.WaitGroup
	for range joiners {
		entering.Add(1)
		go func() {
			ctx := &signalCtx{Context: t.Context(), onDone: sync.OnceFunc(entering.Done)}
			v, shared, err := b.group.Do(ctx, "k", b.fn)
			results <- result{v, shared, err}
		}()
	}
	entering.Wait()
	close(b.release)

	if got := <-first; got != (result{1, false, nil}) {
		t.Errorf("first caller got %+v", got)
	}
	for range joiners {
		if got := <-results; got != (result{1, true, nil}) {
			t.Errorf("joiner got %+v, want the first run's value, shared", got)
		}
	}
	if n := b.runs.Load(); n != 1 {
		t.Errorf("%d runs, want 1", n)
	}
}

func TestOtherKeysRunApart(t *testing.T) {
	t.Parallel()
	b := newBlock()
	one, two := b.call(t.Context(), "a"), b.call(t.Context(), "b")
	<-b.started
	<-b.started
	close(b.release)
	if r := <-one; r.shared || r.err != nil {
		t.Errorf("a: %+v", r)
	}
	if r := <-two; r.shared || r.err != nil {
		t.Errorf("b: %+v", r)
	}
}

func TestOneThatLeavesDoesNotCancelTheOthers(t *testing.T) {
	t.Parallel()
	b := newBlock()
	leaving, cancel := context.WithCancel(t.Context())
	first := b.call(leaving, "k")
	<-b.started

	joined := make(chan struct{})
	second := make(chan result, 1)
	go func() {
		ctx := &signalCtx{Context: t.Context(), onDone: sync.OnceFunc(func() { close(joined) })}
		v, shared, err := b.group.Do(ctx, "k", b.fn)
		second <- result{v, shared, err}
	}()
	<-joined

	cancel()
	if r := <-first; !errors.Is(r.err, context.Canceled) {
		t.Errorf("the one that left got %+v", r)
	}
	close(b.release)
	if r := <-second; r != (result{1, true, nil}) {
		t.Errorf("the one that stayed got %+v", r)
	}
	if err := <-b.ended; err != nil {
		t.Errorf("the run ended with %v, want it to finish", err)
	}
}

func TestTheLastOneThatLeavesCancels(t *testing.T) {
	t.Parallel()
	b := newBlock()
	ctx, cancel := context.WithCancel(t.Context())
	gone := b.call(ctx, "k")
	<-b.started
	cancel()
	if r := <-gone; !errors.Is(r.err, context.Canceled) {
		t.Errorf("got %+v", r)
	}

	// Whoever comes now starts anew.
	next := b.call(t.Context(), "k")
	<-b.started
	if err := <-b.ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the abandoned run ended with %v, want it cancelled", err)
	}
	close(b.release)
	if r := <-next; r != (result{2, false, nil}) {
		t.Errorf("the next caller got %+v, want a run of its own", r)
	}
}

func TestCancelledBeforeTheStart(t *testing.T) {
	t.Parallel()
	b := newBlock()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if r := <-b.call(ctx, "k"); !errors.Is(r.err, context.Canceled) || b.runs.Load() != 0 {
		t.Errorf("got %+v after %d runs", r, b.runs.Load())
	}
}

func TestPanicsReachTheWaiters(t *testing.T) {
	t.Parallel()
	var g flight.Group[int, int]
	_, _, err := g.Do(t.Context(), 1, func(context.Context) (int, error) { panic("boom") })
	var p *flight.PanicError
	if !errors.As(err, &p) || p.Value != "boom" || len(p.Stack) == 0 {
		t.Errorf("err = %#v, want the panic and its stack", err)
	}
	if v, _, err := g.Do(t.Context(), 1, func(context.Context) (int, error) { return 7, nil }); v != 7 || err != nil {
		t.Errorf("after the panic: %d, %v", v, err)
	}
}

// signalCtx tells when Do has joined and starts to wait: Done is asked for then.
type signalCtx struct {
	context.Context
	onDone func()
}

func (c *signalCtx) Done() <-chan struct{} {
	c.onDone()
	return c.Context.Done()
}
