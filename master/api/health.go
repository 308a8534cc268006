package api

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/atlhyper/observe/shared/fault"
)

// probe is the body of a probe's success.
type probe struct {
	Status string `json:"status"`
}

// healthz says that the process lives; Redis has no part in it, or an outage of
// Redis would restart every master.
func (a *API) healthz(x *exchange, r *http.Request) error {
	a.writeJSON(x, r, http.StatusOK, probe{"ok"})
	return nil
}

// readyz says whether requests should be sent here.
func (a *API) readyz(x *exchange, r *http.Request) error {
	if a.isDraining() {
		return fault.New(fault.Unavailable, "this replica is shutting down")
	}
	if err := a.readiness.ask(r.Context(), a.cfg.ReadyTimeout, a.cfg.Ready); err != nil {
		if r.Context().Err() != nil {
			return r.Context().Err()
		}
		if fault.Is(err, fault.StoreUnavailable) {
			return err
		}
		return fault.Wrap(err, fault.StoreUnavailable, "Redis cannot be reached")
	}
	a.writeJSON(x, r, http.StatusOK, probe{"ready"})
	return nil
}

// readyFor is how long what Redis said counts: whoever may ask /readyz, without
// credentials, asks Redis no more often.
const readyFor = time.Second

// readiness is the last answer to whether Redis can be reached.
type readiness struct {
	mu  sync.Mutex
	at  time.Time // zero: it was not asked yet
	err error
}

// ask returns the last answer, or asks when that is too old. Those who come meanwhile wait
// for the same answer, at most as long; none of them ends the question for the others.
func (r *readiness) ask(ctx context.Context, timeout time.Duration, ready func(context.Context) error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.at.IsZero() && time.Since(r.at) < readyFor {
		return r.err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
	defer cancel()
	r.err = ready(ctx)
	r.at = time.Now()
	return r.err
}
