package snapshot

import (
	"context"
	"errors"
	"fmt"

	"github.com/atlhyper/observe/redis/conn"
)

// Publish takes the updates over and writes what changed since the last publish in
// one atomic step. After an error the updates are kept: call it again, with newer
// ones or none. Errors: a *fault.Error with store_unavailable; a plain error for
// an update that makes no sense, before anything is sent.
func (w *Writer) Publish(ctx context.Context, updates []Update) (Published, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, u := range updates {
		if err := u.validate(); err != nil {
			return Published{}, err
		}
	}
	for _, u := range updates {
		if err := w.absorb(u); err != nil {
			return Published{}, err
		}
	}
	done, err := w.write(ctx)
	w.count(done, err)
	return done, err
}

func (w *Writer) count(done Published, err error) {
	switch {
	case err != nil:
		w.stats.failed.Add(1)
	case done.Standby:
		w.stats.stoodBy.Add(1)
	default:
		w.stats.published.Add(1)
		w.stats.sections.Add(int64(len(done.Written)))
		w.stats.bytes.Add(int64(done.Bytes))
	}
}

// errLost says that Redis does not hold what the writer left there.
var errLost = errors.New("snapshot: Redis does not hold what was published")

// write sends what changed when Redis holds what this writer left there, else all of
// it. That is long, so it asks first whether it has to stand by.
func (w *Writer) write(ctx context.Context) (Published, error) {
	lost := w.left != nil
	if lost {
		if done, err := w.send(ctx, w.plan()); !errors.Is(err, errLost) {
			return done, err
		}
		w.left = nil
	}
	if done, err := w.send(ctx, w.question()); !errors.Is(err, errLost) {
		return done, err
	}
	for _, s := range w.sections {
		s.forget()
	}
	done, err := w.send(ctx, w.plan())
	if lost && err == nil && !done.Standby {
		w.cfg.Logger.InfoContext(ctx, "Redis did not hold what this agent published last; all of it was sent again")
		w.stats.resent.Add(1)
	}
	return done, err
}

func (w *Writer) send(ctx context.Context, p *plan) (Published, error) {
	clock := w.clients.Clock(w.cfg.Cluster)
	sent := clock.Here()
	result, err := w.publish.Run(ctx, w.clients.Normal, p.keys, p.args()...)
	if err != nil {
		return Published{}, fmt.Errorf("publish: %w", err)
	}
	n, err := conn.Ints(result, 5)
	if err != nil {
		return Published{}, fmt.Errorf("publish: %w", err)
	}
	w.reportHealed(ctx, result)
	now := conn.Time(n[1], n[2])
	clock.Observe(sent, now)
	switch {
	case n[0] == 0:
		return Published{}, errLost
	case n[0] < 0:
		w.stand(ctx, true)
		return Published{Standby: true}, nil
	}
	w.stand(ctx, false)
	w.seq, w.left = n[0], &left{n[3], n[4], p.sections}
	w.published.Store(now.UnixMilli())
	for name, now := range p.said {
		w.sections[name].commit(now)
	}
	return Published{Seq: n[0], Written: p.written, Bytes: p.bytes}, nil
}

// stand logs when the writer begins or ceases to stand by.
func (w *Writer) stand(ctx context.Context, by bool) {
	w.stats.standby.Store(by)
	if by == w.standby {
		return
	}
	w.standby = by
	if by {
		w.cfg.Logger.InfoContext(ctx, "another agent of the cluster publishes; this one stands by")
	} else {
		w.cfg.Logger.InfoContext(ctx, "this agent publishes now")
	}
}

// yieldLua takes the agent's name out, so that another may publish at once.
//
//	KEYS[1] meta
//	ARGV    instance
//	result  1 when it was there
const yieldLua = `
if redis.call('HGET', KEYS[1], 'agent') ~= ARGV[1] then return 0 end
return redis.call('HDEL', KEYS[1], 'agent')
`

// Yield makes way for another agent of the cluster, which may publish at once. What
// the Writer kept is forgotten: it will be old when this agent publishes again. It
// does that with the next Publish, if the other one lets it.
func (w *Writer) Yield(ctx context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	clear(w.sections)
	w.left = nil
	w.stand(ctx, true)
	if _, err := w.yield.Run(ctx, w.clients.Normal, []string{w.cfg.Cluster.Meta()}, w.cfg.Instance); err != nil {
		return fmt.Errorf("yield: %w", err)
	}
	return nil
}
