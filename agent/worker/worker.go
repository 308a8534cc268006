// Package worker answers detail commands: a table of typed handlers, one for
// each kind of request.
package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/atlhyper/observe/redis/bus"
	"github.com/atlhyper/observe/shared/codec"
	"github.com/atlhyper/observe/shared/detail"
	"github.com/atlhyper/observe/shared/fault"
)

// Registry is the table of handlers. Fill it with Handle before the first Run;
// it is safe for concurrent use after that.
type Registry struct {
	handlers map[detail.Kind]handler
	logger   *slog.Logger
}

// handler decodes, checks and runs one kind of request.
type handler func(ctx context.Context, params codec.Raw) (any, detail.Meta, error)

// NewRegistry returns an empty table; logger gets the causes that users don't.
func NewRegistry(logger *slog.Logger) *Registry {
	return &Registry{handlers: make(map[detail.Kind]handler), logger: logger}
}

// Handle adds the handler of R's kind. It panics when the kind has one already:
// that is a mistake in the wiring.
func Handle[R detail.Request, T any](r *Registry, run func(context.Context, R) (T, detail.Meta, error)) {
	var zero R
	kind := zero.Kind()
	if _, taken := r.handlers[kind]; taken {
		panic(fmt.Sprintf("worker: kind %q has two handlers", kind))
	}
	r.handlers[kind] = func(ctx context.Context, params codec.Raw) (any, detail.Meta, error) {
		var request R
		if err := codec.Decode(params, &request); err != nil {
			return nil, detail.Meta{}, fault.Wrap(err, fault.BadRequest, "the parameters of %q cannot be read by this agent", kind)
		}
		if err := request.Validate(); err != nil {
			return nil, detail.Meta{}, fault.New(fault.BadRequest, "%s", err)
		}
		return run(ctx, request)
	}
}

// Run answers one command. Failures become codes with a sentence for users; what
// only operators may know is logged. The bus guards against panics and results
// over its bound.
func (r *Registry) Run(ctx context.Context, cmd bus.Command) bus.Reply {
	began := time.Now()
	reply, err := r.answer(ctx, cmd)
	if err != nil {
		refusal := public(ctx, err)
		r.logger.WarnContext(ctx, "command failed", "id", cmd.ID, "kind", cmd.Kind, "code", refusal.Code, "took", time.Since(began), "error", err)
		return bus.Refusal(refusal)
	}
	r.logger.DebugContext(ctx, "command answered", "id", cmd.ID, "kind", cmd.Kind, "bytes", len(reply.Data), "took", time.Since(began))
	return reply
}

func (r *Registry) answer(ctx context.Context, cmd bus.Command) (bus.Reply, error) {
	run, known := r.handlers[cmd.Kind]
	if !known {
		return bus.Reply{}, fault.New(fault.BadRequest, "this agent does not know requests of kind %.40q", string(cmd.Kind))
	}
	value, meta, err := run(ctx, cmd.Params)
	if err != nil {
		return bus.Reply{}, err
	}
	data, err := codec.Encode(value)
	if err != nil {
		return bus.Reply{}, fault.Wrap(err, fault.AgentError, "the result of %q cannot be sent: it holds a value that is no number", cmd.Kind)
	}
	return bus.Reply{Data: data, Meta: meta}, nil
}

// public is what the asker may read of an error.
func public(ctx context.Context, err error) *fault.Error {
	var known *fault.Error
	switch {
	case errors.As(err, &known):
		return known
	case ctx.Err() != nil:
		return fault.Wrap(err, fault.Timeout, "the agent stopped the query: %s", context.Cause(ctx))
	}
	return fault.Wrap(err, fault.AgentError, "the query failed on the agent; its log has the cause")
}
