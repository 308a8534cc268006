package dashboard

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/redis/snapshot"
	"github.com/atlhyper/observe/shared/fault"
	"github.com/atlhyper/observe/shared/model"
)

const (
	// freshFor is how long an answer stands after Redis was asked: no replica is ever
	// further behind without saying so.
	freshFor = 2 * time.Second
	// retried is the age at which a failed check says nothing any more: while the cache
	// is kept up to date, the next one ends before.
	retried = 5 * time.Second
	// staleIntervals is how many intervals old a section may be.
	staleIntervals = 3
)

// instant is a moment on this process's monotonic clock, in ns since an hour before
// the Service was made, so that 0 is long ago.
type instant int64

func (i instant) add(d time.Duration) instant { return i + instant(d) }

func (i instant) sub(j instant) time.Duration { return time.Duration(i - j) }

// entry is one cluster that is followed.
type entry struct {
	cluster key.Cluster
	// skew is Redis's clock, in ns since 1970, minus the instant; 0: not known.
	skew atomic.Int64

	mu       sync.Mutex // guards the rest; the cache's lock may be taken while it is held
	dropped  bool       // the cache holds it no more: who finds it here asks for another
	sections map[model.Section]*held
	subs     map[*subscription]struct{}
	loads    int // requests that wait for it: it must stay

	info  snapshot.ClusterInfo // as of the last check that worked
	asked instant              // when that began
	tried instant              // when the last one ended, whatever came of it
	away  error                // why that one failed; nil when it worked
	since string               // what users are told then
	lost  string               // why Redis does not hold what is held here; "" when it does
	seq   int64                // the newest publish that was taken over
	until instant              // when its TTL ends: until then no older one is
	state state                // what was signalled last
}

// state is what an entry's subscribers are told of, besides changed answers.
type state struct {
	seq  int64
	away bool
	lost string
	info snapshot.Status
}

func newEntry(c key.Cluster) *entry {
	return &entry{cluster: c, sections: make(map[model.Section]*held), subs: make(map[*subscription]struct{})}
}

// redis is a moment on Redis's clock.
func (e *entry) redis(at instant) time.Time {
	return time.Unix(0, e.skew.Load()+int64(at)).UTC()
}

// kind is what can be done for a request on a section.
type kind uint8

const (
	// check: Redis must be asked first.
	check kind = iota
	// serve: the answer stands.
	serve
	// none: there is nothing to serve, for the reason given.
	none
	// unknown: Redis was asked, and has no snapshot; why must be found out.
	unknown
)

// verdict is what holds of a section until an instant.
type verdict struct {
	kind  kind
	say   saying
	until instant
	err   error
}

// judge is what holds of a section now. It is called with the lock held.
func (e *entry) judge(h *held, now instant) verdict {
	fresh := now.sub(e.asked) <= freshFor
	if !fresh && (e.away == nil || now.sub(e.tried) > retried) {
		return verdict{kind: check}
	}
	if !fresh {
		if h == nil || !h.there || now >= h.until {
			return verdict{kind: none, err: e.away}
		}
		return verdict{kind: serve, say: saying{snapshot.Unknown, true, e.since}, until: min(h.until, e.tried.add(retried))}
	}
	if h == nil {
		return verdict{kind: check}
	}
	lost := e.lost
	if lost == "" {
		lost = h.lost
	}
	switch {
	case lost == "" && h.there:
		return e.byAge(h, now)
	case h.there && now < h.until:
		return verdict{kind: serve, say: saying{e.info.Status, true, lost}, until: min(h.until, e.asked.add(freshFor))}
	case e.lost == behind:
		return verdict{kind: none, err: fault.New(fault.StoreUnavailable, "%s", behind).After(time.Second)}
	case e.lost != "":
		return verdict{kind: unknown}
	case h.checked == 0: // it was not asked for yet
		return verdict{kind: check}
	default:
		return verdict{kind: none, err: h.err}
	}
}

// byAge judges a section that Redis holds as it is held here.
func (e *entry) byAge(h *held, now instant) verdict {
	v := verdict{kind: serve, say: saying{status: e.info.Status}, until: e.asked.add(freshFor)}
	limit := staleIntervals * h.meta.Interval
	age := e.redis(now).Sub(h.meta.At)
	switch {
	case h.meta.Error != "":
		v.say.stale, v.say.reason = true, h.meta.Error
	case limit <= 0:
	case age < -limit:
		v.say.stale, v.say.reason = true, "the last collection is from the future: Redis's clock was set back"
	case age > limit && e.info.Status == snapshot.Offline:
		v.say.stale, v.say.reason = true, "no agent of the cluster is online; the last collection is over 3 intervals old"
	case age > limit:
		v.say.stale, v.say.reason = true, "the last collection is over 3 intervals old"
	default:
		v.until = min(v.until, now.add(limit-age+1))
	}
	return v
}

// What users are told when Redis does not hold what it should.
const (
	behind    = "Redis holds an older snapshot than this replica has shown; the next publish brings a newer one"
	forgotten = "Redis lost the snapshot; the next publish of the cluster's agent brings it back"
)

// fail notes that a check failed. It is called with the lock held.
func (e *entry) fail(now instant, err error) {
	e.tried = now
	if e.away == nil {
		e.since = since(err, e.redis(e.asked))
	}
	e.away = err
}
