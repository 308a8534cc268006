package api

import (
	"errors"
	"net/http"
	"os"
	"time"

	"github.com/atlhyper/observe/master/envelope"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/shared/fault"
	"github.com/atlhyper/observe/shared/model"
)

// stream is one caller's server-sent events: the sections of a cluster, each when
// it changes. It has no queue: it sends what is newest whenever the caller has taken
// what was sent before, so a slow one costs versions, not memory.
type stream struct {
	api     *API
	cluster key.Cluster
	shown   []shown // in the order asked for
	events  *eventWriter
}

// shown is what the caller knows of a section. It holds no answer: those belong to
// the cache, which may drop them.
type shown struct {
	section model.Section
	seq     int64         // of the data; 0 for none
	etag    string        // of the answer; "" when only seq is known, from a Last-Event-ID
	meta    envelope.Meta // of the answer
	failure failure       // what was told instead of one
	atLeast int64         // the caller has seen this seq on another replica: nothing older is shown
}

// stream serves the sections of a cluster as server-sent events.
func (a *API) stream(x *exchange, r *http.Request) error {
	p := a.params(x, r)
	sections, id := p.readStream()
	if header := r.Header.Get("Last-Event-ID"); header != "" {
		id = header // of a browser that comes back; the parameter is of a page that does
	}
	if err := p.finish(); err != nil {
		return err
	}
	caller := x.caller.Name // by which it enters, whatever the token says later
	if a.anyone != nil {
		caller = ""
	}
	if err := a.streams.enter(caller, a.cfg.MaxStreams); err != nil {
		return err
	}
	defer a.streams.leave(caller)
	ctx := r.Context()
	// Whatever else is wrong may mend itself and is told as an event.
	_, err := a.cfg.Dashboards.Section(ctx, p.cluster, sections[0])
	if fault.Is(err, fault.ClusterUnknown) || ctx.Err() != nil {
		return err
	}
	changed, stop := a.cfg.Dashboards.Subscribe(p.cluster, sections)
	defer stop()

	x.endless = true
	h := x.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no") // of nginx
	h["Cache-Control"] = a.values.noStore
	if r.Method == http.MethodHead {
		x.WriteHeader(http.StatusOK)
		return nil
	}
	s := &stream{
		api: a, cluster: p.cluster, shown: resume(sections, id),
		events: &eventWriter{w: x, control: http.NewResponseController(x), wait: a.cfg.StreamWait},
	}
	err = s.run(x, r, changed)
	a.streams.ended(err)
	if a.cfg.Audit != nil && errors.Is(err, errDenied) {
		x.note().refused, x.code = true, fault.From(err).Code
	}
	a.log.DebugContext(ctx, "stream ended", "request_id", x.requestID(), "cluster", p.cluster, "reason", err)
	return nil
}

// readStream reads the cluster, the sections to be shown, and the last event that the
// caller has seen.
func (p *params) readStream() (sections []model.Section, lastEvent string) {
	p.readCluster()
	return p.sections("sections"), p.text("last_event_id")
}

// errDrained is why streams end when the replica does: their callers go to another.
var errDrained = errors.New("the replica is shutting down")

// errDenied is why streams end whose caller has lost the right to them. It is told so
// when it comes back.
var errDenied = errors.New("the caller may not see this any more")

// run sends events until the caller leaves, is too slow or loses its rights, or the
// replica ends.
func (s *stream) run(x *exchange, r *http.Request, changed <-chan struct{}) error {
	ctx := r.Context()
	heartbeat := time.NewTicker(s.api.cfg.Heartbeat)
	defer heartbeat.Stop()
	if err := s.events.retry(reconnectAfter); err != nil {
		return err
	}
	for {
		if s.api.isDraining() {
			// The last deadline may be over, and the end of the answer wants to be sent, too.
			return errors.Join(errDrained, s.events.comment())
		}
		if err := s.api.readmit(x, r); err != nil {
			return errors.Join(errDenied, err, s.events.comment())
		}
		if err := s.update(x, r); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.api.drained:
		case <-changed:
		case <-heartbeat.C:
			if err := s.events.comment(); err != nil {
				return err
			}
			// A replica is not behind for so long: what was seen elsewhere is gone.
			for i := range s.shown {
				s.shown[i].atLeast = 0
			}
		}
	}
}

// update sends what the caller does not know yet.
func (s *stream) update(x *exchange, r *http.Request) error {
	for i := range s.shown {
		known := &s.shown[i]
		answer, err := s.api.cfg.Dashboards.Section(r.Context(), s.cluster, known.section)
		switch {
		case r.Context().Err() != nil:
			return r.Context().Err()
		case err != nil:
			err = s.fail(x, r, known, err)
		default:
			err = s.show(known, *answer.Meta(), answer.ETag(), answer.Body())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// show sends an answer, or only its meta when the caller has the data.
func (s *stream) show(known *shown, meta envelope.Meta, etag string, body []byte) error {
	if meta.Seq < known.atLeast || etag == known.etag {
		return nil
	}
	hasData := known.seq != 0 && known.seq == meta.Seq && known.saysAlike(meta)
	known.seq, known.etag, known.meta = meta.Seq, etag, meta
	known.failure, known.atLeast = failure{}, 0
	if hasData {
		return s.events.json("meta", metaEvent{known.section, meta})
	}
	return s.events.event(eventID(s.shown), string(known.section), body)
}

// saysAlike tells whether nothing but the time of the collection differs, so that
// the caller only needs the new meta; so does one who comes back with the data.
func (k *shown) saysAlike(meta envelope.Meta) bool {
	if k.etag == "" {
		return true
	}
	meta.CollectedAt = k.meta.CollectedAt
	return meta == k.meta
}

// fail tells why a section cannot be shown, once.
func (s *stream) fail(x *exchange, r *http.Request, known *shown, err error) error {
	f := failureOf(x, fault.From(err))
	if f == known.failure {
		return nil
	}
	s.api.logFailure(x, r, err)
	known.seq, known.etag, known.failure = 0, "", f
	return s.events.json("error", errorEvent{known.section, f})
}

// reasonOf is the label of what ended a stream.
func reasonOf(err error) string {
	switch {
	case errors.Is(err, errDrained):
		return "drained"
	case errors.Is(err, errDenied):
		return "denied"
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "slow"
	default:
		return "left" // or its connection broke, which looks the same
	}
}
