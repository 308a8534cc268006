// Package flight lets identical concurrent calls run once. It differs from
// golang.org/x/sync/singleflight in one thing: a call belongs to its waiters. It
// outlives any of them that leaves, and is cancelled when the last one has left.
package flight

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
)

// Group runs at most one call per key at a time. The zero value is ready.
type Group[K comparable, V any] struct {
	// MaxJoined bounds the waiters of all keys that joined the call of another one.
	// 0 means no bound. Set it before the first Do.
	MaxJoined int

	mu     sync.Mutex
	calls  map[K]*call[V]
	joined int
}

// ErrFull is returned to those who would join a call when MaxJoined have.
var ErrFull = errors.New("flight: too many wait for the calls of others")

// call is one run of a function and those who wait for it. The group's lock
// guards waiters; value and err are written before done is closed.
type call[V any] struct {
	done    chan struct{}
	cancel  context.CancelFunc
	waiters int
	value   V
	err     error
}

// PanicError is what the waiters get when the function panicked.
type PanicError struct {
	Value any
	Stack []byte
}

// Error implements error.
func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// Do returns what fn returns, joining the call of that key that is under way if
// there is one (shared is then true, and fn is not used). fn gets a context that
// has ctx's values but not its end: it is cancelled when every waiter has left.
// A waiter whose ctx ends gets ctx.Err() at once; one too many gets ErrFull. Values
// are shared: they must not be changed.
func (g *Group[K, V]) Do(ctx context.Context, key K, fn func(context.Context) (V, error)) (value V, shared bool, err error) {
	if err := ctx.Err(); err != nil {
		return value, false, err
	}
	c, shared, err := g.join(ctx, key, fn)
	if err != nil {
		return value, shared, err
	}
	if shared {
		defer g.part()
	}
	select {
	case <-c.done:
		return c.value, shared, c.err
	case <-ctx.Done():
		g.leave(key, c)
		return value, shared, ctx.Err()
	}
}

// join adds a waiter to the key's call and starts the call if there is none.
func (g *Group[K, V]) join(ctx context.Context, key K, fn func(context.Context) (V, error)) (_ *call[V], shared bool, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if c, ok := g.calls[key]; ok {
		if g.MaxJoined > 0 && g.joined >= g.MaxJoined {
			return nil, true, ErrFull
		}
		g.joined++
		c.waiters++
		return c, true, nil
	}
	runCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	c := &call[V]{done: make(chan struct{}), cancel: cancel, waiters: 1}
	if g.calls == nil {
		g.calls = make(map[K]*call[V])
	}
	g.calls[key] = c
	go func() {
		defer cancel()
		c.value, c.err = protect(runCtx, fn)
		g.mu.Lock()
		g.forget(key, c)
		g.mu.Unlock()
		close(c.done)
	}()
	return c, false, nil
}

// part takes one off those that joined.
func (g *Group[K, V]) part() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.joined--
}

// Joined is how many wait for calls that others began.
func (g *Group[K, V]) Joined() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.joined
}

// leave takes a waiter off the call; the last one ends it, and whoever comes
// then starts anew instead of joining a call that is being cancelled.
func (g *Group[K, V]) leave(key K, c *call[V]) {
	g.mu.Lock()
	defer g.mu.Unlock()
	c.waiters--
	if c.waiters == 0 {
		g.forget(key, c)
		c.cancel()
	}
}

// forget is called with the lock held.
func (g *Group[K, V]) forget(key K, c *call[V]) {
	if g.calls[key] == c {
		delete(g.calls, key)
	}
}

func protect[V any](ctx context.Context, fn func(context.Context) (V, error)) (_ V, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &PanicError{Value: p, Stack: debug.Stack()}
		}
	}()
	return fn(ctx)
}
