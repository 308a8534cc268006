package bus

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/atlhyper/observe/redis/conn"
	"github.com/atlhyper/observe/shared/fault"
)

const (
	// fetchers is how many fetch short replies at the same time, largeFetchers how many
	// fetch long ones, which so hold back none of the others.
	fetchers, largeFetchers = 4, 2
	// inlineBytes is the longest reply that is fetched together with others.
	inlineBytes = 64 << 10
	// fetchBatch is how many replies are asked for in one round trip.
	fetchBatch = 64
	// clockInterval is between measurements of Redis's clock, so that no request
	// has to take one.
	clockInterval = 10 * time.Second
	// spentBatch is how many replies that were read are deleted without waiting for the
	// sweep, unlinkBatch how many of them by one command.
	spentBatch, unlinkBatch = 256, 128
	// maxSpent bounds the replies that wait to be deleted; the others expire.
	maxSpent = 10_000
)

// run fetches what is announced, all that is there in one round trip.
func (f *fetcher) run(ctx context.Context) {
	for {
		var batch []*ask
		select {
		case <-ctx.Done():
			return
		case a := <-f.there:
			batch = append(batch, a)
		case <-f.many:
		}
	more:
		for len(batch) < fetchBatch {
			select {
			case a := <-f.there:
				batch = append(batch, a)
			default:
				break more
			}
		}
		// An error is met again, and logged, by the sweep, which tries again.
		if _, err := f.fetch(ctx, batch, false); err != nil && ctx.Err() == nil {
			f.cfg.Logger.DebugContext(ctx, "replies could not be fetched", "error", err)
		}
	}
}

// fetchLua reads a reply if it is not too long. It is not deleted: what is cut on
// the wire can be read again.
//
//	KEYS[1] reply:<id>
//	ARGV    most bytes
//	result  {-2}: there is none; {-1}: it is no list; {bytes}: too long; {bytes, reply}
const fetchLua = `
local raw = redis.pcall('LINDEX', KEYS[1], 0)
if not raw then return {-2} end
if type(raw) == 'table' then
  if string.find(raw.err, 'WRONGTYPE', 1, true) then return {-1} end
  return raw
end
if #raw > tonumber(ARGV[1]) then return {#raw} end
return {#raw, raw}
`

// fetch reads the replies of some asks, where there are any, and deletes those
// that were read before. Long ones are left to runLarge. It tells whether there was
// anything to ask Redis.
func (f *fetcher) fetch(ctx context.Context, batch []*ask, sweep bool) (asked bool, err error) {
	batch = slices.DeleteFunc(slices.Clone(batch), func(a *ask) bool { return !a.fetching.CompareAndSwap(false, true) })
	for _, a := range batch {
		a.announced.Store(false)
	}
	spent := f.takeSpent()
	if len(batch) == 0 && len(spent) == 0 {
		return false, nil
	}
	release, err := f.reserve(ctx, len(batch)*inlineBytes)
	if err != nil {
		f.done(batch...)
		return false, err
	}
	defer release()
	answers := make([]*redis.Cmd, len(batch))
	_, err = f.clients.Normal.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, a := range batch {
			answers[i] = p.Eval(ctx, fetchLua, []string{a.cluster.Reply(a.id)}, inlineBytes)
		}
		for _, keys := range spent {
			p.Unlink(ctx, keys...)
		}
		return nil
	})
	for i, a := range batch {
		if f.take(a, answers[i].Val(), sweep) {
			f.done(a)
		}
	}
	if err != nil {
		return true, fmt.Errorf("fetch replies: %w", conn.Unavailable(err))
	}
	return true, nil
}

// reserve waits until bytes more may be on their way.
func (f *fetcher) reserve(ctx context.Context, bytes int) (release func(), err error) {
	n := int64(min(bytes, f.cfg.MaxFetchBytes))
	if err := f.budget.Acquire(ctx, n); err != nil {
		return nil, err
	}
	f.stats.fetchBytes.Add(n)
	return func() {
		f.stats.fetchBytes.Add(-n)
		f.budget.Release(n)
	}, nil
}

// done says that the asks' replies may be looked for again, which is at once when
// one was announced while it was looked for.
func (f *fetcher) done(asks ...*ask) {
	for _, a := range asks {
		a.fetching.Store(false)
		if !a.announced.Load() {
			continue
		}
		select {
		case f.there <- a:
		default: // full; the sweep finds it
		}
	}
}

// take delivers what fetchLua said of an ask; false when the reply is yet to be
// fetched by runLarge.
func (f *fetcher) take(a *ask, answer any, sweep bool) bool {
	n, err := conn.Ints(answer, 1)
	if err != nil || n[0] == -2 {
		return true // the connection was cut, or there is none yet
	}
	list, _ := answer.([]any)
	switch {
	case n[0] < 0 || n[0] == 0 && len(list) == 1:
		f.deliver(a, outcome{err: fault.New(fault.StoreUnavailable, "the agent's reply cannot be read")})
	case n[0] > int64(f.cfg.MaxReplyBytes):
		f.deliver(a, outcome{err: tooLarge(int(n[0]), f.cfg.MaxReplyBytes)})
	case len(list) == 1:
		select {
		case f.large <- largeReply{a, int(n[0])}:
			return false
		default:
			return true // full of asks that nobody waits for; the sweep tries again
		}
	default:
		raw, _ := list[1].(string)
		f.stats.replyBytes.Add(int64(len(raw)))
		f.deliver(a, f.read(a, raw))
	}
	if sweep {
		f.stats.found.Add(1)
	}
	return true
}

// runLarge fetches long replies, one at a time.
func (f *fetcher) runLarge(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case l := <-f.large:
			// An error is met again by the sweep, which tries again.
			if err := f.fetchLarge(ctx, l); err != nil && ctx.Err() == nil {
				f.cfg.Logger.DebugContext(ctx, "a reply could not be fetched", "bytes", l.bytes, "error", err)
			}
			f.done(l.ask)
		}
	}
}

func (f *fetcher) fetchLarge(ctx context.Context, l largeReply) error {
	release, err := f.reserve(ctx, l.bytes)
	if err != nil {
		return err
	}
	defer release()
	// A longer one than it was a moment ago is not read.
	answer, err := f.one.Run(ctx, f.clients.Normal, []string{l.ask.cluster.Reply(l.ask.id)}, l.bytes)
	if err != nil {
		return err
	}
	if !f.take(l.ask, answer, false) {
		return errGrown
	}
	return nil
}

// errGrown is about a reply that is not what its length was asked of.
var errGrown = errors.New("bus: a reply has changed while it was fetched")

// read decodes a reply.
func (f *fetcher) read(a *ask, data string) outcome {
	r, err := decodeReply([]byte(data), a.id)
	if err != nil {
		f.cfg.Logger.Warn("a reply cannot be read", "cluster", a.cluster, "id", a.id, "error", err)
		return outcome{err: fault.Wrap(err, fault.StoreUnavailable, "the agent's reply cannot be read: %s", readable(err))}
	}
	return outcomeOf(r)
}

func outcomeOf(r Reply) outcome {
	if r.Code != "" {
		return outcome{reply: r, err: fault.New(r.Code, "%s", r.Message)}
	}
	return outcome{reply: r}
}

// deliver hands the outcome to who waits, once, and has the reply deleted.
func (f *fetcher) deliver(a *ask, o outcome) {
	f.mu.Lock()
	f.spend(a.cluster, a.id)
	f.mu.Unlock()
	a.announced.Store(false)
	select {
	case a.got <- o:
	default: // it has one already
	}
}
