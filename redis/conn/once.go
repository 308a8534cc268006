package conn

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/redis/go-redis/v9"
)

// In Redis Cluster the library counts redirects and repetitions together: when it
// may follow a MOVED, it also sends a command again whose connection was cut, which
// the server may have run. These hooks part the two: one on the client of each
// server hides what is not a server's answer from the logic that repeats, one on
// the client of the whole cluster brings it back, and has the map of slots read
// again, which the library does for redirects only: a server that is dead redirects
// nobody.
func runOnce(client *redis.ClusterClient) {
	client.OnNewNode(func(node *redis.Client) { node.AddHook(nodeHook{}) })
	client.AddHook(clusterHook{reload: client.ReloadState})
}

// answered tells an error that a server sent, so that the command's fate is known,
// and one of a pool that was closed before anything was sent.
func answered(err error) bool {
	var reply redis.Error
	return err == nil || errors.As(err, &reply) || errors.Is(err, redis.ErrClosed)
}

// unrepeatable hides an error: it has no Unwrap.
type unrepeatable struct{ cause error }

func (e *unrepeatable) Error() string { return e.cause.Error() }

func reveal(err error) error {
	if hidden, ok := errors.AsType[*unrepeatable](err); ok {
		return hidden.cause
	}
	return err
}

// brokenKey is where a pipeline's context holds an *atomic.Pointer[error]: what one
// of its parts failed with. It ends the other parts' repetitions, too.
type brokenKey struct{}

// nodeHook is on the client of one server.
type nodeHook struct{}

func (nodeHook) DialHook(next redis.DialHook) redis.DialHook { return next }

func (nodeHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if answered(err) {
			return err
		}
		return &unrepeatable{cause: reveal(err)}
	}
}

func (nodeHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		broken, ok := ctx.Value(brokenKey{}).(*atomic.Pointer[error])
		if !ok {
			return next(ctx, cmds) // of the library's own, while it connects
		}
		if err := broken.Load(); err != nil {
			return *err
		}
		err := next(ctx, cmds)
		if !answered(err) {
			broken.CompareAndSwap(nil, &err)
		}
		return err
	}
}

// clusterHook is on the client of the whole cluster.
type clusterHook struct{ reload func(context.Context) }

func (clusterHook) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h clusterHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		return h.note(ctx, reveal(next(ctx, cmd)))
	}
}

func (h clusterHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		err := next(context.WithValue(ctx, brokenKey{}, new(atomic.Pointer[error])), cmds)
		return h.note(ctx, reveal(err))
	}
}

func (h clusterHook) note(ctx context.Context, err error) error {
	if !answered(err) && ctx.Err() == nil {
		h.reload(ctx)
	}
	return err
}
