package api

import (
	"context"
	"net/http"

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
	ctx, cancel := context.WithTimeout(r.Context(), a.cfg.ReadyTimeout)
	defer cancel()
	if err := a.cfg.Ready(ctx); err != nil {
		if ctx.Err() != nil && r.Context().Err() != nil {
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
