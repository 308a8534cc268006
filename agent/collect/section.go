package collect

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/atlhyper/observe/redis/snapshot"
	"github.com/atlhyper/observe/shared/codec"
	"github.com/atlhyper/observe/shared/fault"
	"github.com/atlhyper/observe/shared/model"
	"github.com/atlhyper/observe/shared/span"
)

// errTimeout ends the context of a round.
var errTimeout = errors.New("the collection's time is over")

// result is what a section's function came back with.
type result struct {
	data []byte
	err  error
}

// collect runs one section and reports its outcome: when it returns, or when its
// time is over, and then once more when it returns after all. at is when the round
// began.
func (c *Collector[R]) collect(ctx context.Context, s Section[R], round R, at time.Time, number int, done chan<- struct{}) {
	returned := make(chan result, 1)
	ctx, sp := c.tracer.Start(ctx, "collect "+string(s.Name), trace.WithNewRoot(),
		trace.WithAttributes(span.Section.String(string(s.Name)), span.Cluster.String(c.cfg.Cluster)))
	go func() {
		defer func() { done <- struct{}{} }()
		data, err := encoded(s.Name, func() (any, error) { return s.Collect(ctx, round) })
		sp.SetAttributes(span.Bytes.Int(len(data)))
		span.Fail(sp, err)
		sp.End()
		returned <- result{data, err}
	}()
	report := func(r result, back, late bool) {
		o := outcome{round: number, returned: back, late: late, cause: r.err, span: sp.SpanContext(), update: snapshot.Update{
			Name: s.Name, Data: r.data, At: at, Took: time.Since(at), Window: s.Window, Interval: c.cfg.Interval,
			Reads: c.cfg.Reads(round, s.Name),
		}}
		if r.err != nil {
			o.update.Data, o.update.Err = nil, c.public(r.err)
		}
		c.outcome <- o
	}
	select {
	case r := <-returned:
		report(r, true, false)
	case <-ctx.Done():
		// It may heed its context and tell more about what it waited for.
		select {
		case r := <-returned:
			report(r, true, false)
		case <-time.After(grace):
			report(result{err: context.Cause(ctx)}, false, false)
			report(<-returned, true, true)
		}
	}
}

// grace is how long a section may take to return after its time is over.
const grace = 100 * time.Millisecond

// encoded returns the msgpack of what get returns; a panic is an error too.
func encoded(name model.Section, get func() (any, error)) (data []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("section %s panicked: %v\n%s", name, p, debug.Stack())
		}
	}()
	value, err := get()
	if err != nil {
		return nil, err
	}
	return codec.Encode(value)
}

// public is what the users of the API may read of a failure.
func (c *Collector[R]) public(err error) string {
	var known *fault.Error
	if !errors.As(err, &known) && (errors.Is(err, errTimeout) || errors.Is(err, context.DeadlineExceeded)) {
		return fmt.Sprintf("the collection did not end within %s", c.cfg.Timeout)
	}
	return public(err)
}

func public(err error) string {
	var known *fault.Error
	if errors.As(err, &known) {
		return known.Message
	}
	return "the collection failed; the agent's log has the cause"
}
