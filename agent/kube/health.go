package kube

import (
	"context"
	"log/slog"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/atlhyper/observe/shared/fault"
)

// health is how the requests for one kind end.
type health struct {
	resource string
	patience time.Duration
	clock    func() time.Time
	logger   *slog.Logger

	mu      sync.Mutex
	failure error     // of the last request; nil when it succeeded
	since   time.Time // of the first failure after the last success
}

// note tells how a request ended.
func (h *health) note(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return // it ended because we do
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case err == nil && h.failure != nil:
		h.logger.Info("Kubernetes answers again")
		h.since = time.Time{}
	case err != nil && h.failure == nil:
		h.logger.Warn("Kubernetes cannot be read", "error", err)
		h.since = h.clock()
	}
	h.failure = err
}

// last returns how the last request failed; nil when it did not.
func (h *health) last() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.failure
}

// check returns why the kind cannot be followed: at once when it was never read, and
// after the time of patience when it was.
func (h *health) check(synced bool) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.failure == nil {
		if !synced {
			return fault.New(fault.NotReady, "%s have not been read yet", h.resource)
		}
		return nil
	}
	if synced && h.clock().Sub(h.since) < h.patience {
		return nil
	}
	switch {
	case apierrors.IsForbidden(h.failure):
		return fault.Wrap(h.failure, fault.Forbidden, "the agent may not list and watch %s", h.resource)
	case apierrors.IsUnauthorized(h.failure):
		return fault.Wrap(h.failure, fault.Unauthorized, "the API server does not accept the agent's credentials")
	case apierrors.IsNotFound(h.failure):
		return fault.Wrap(h.failure, fault.NotFound, "the API server has no %s", h.resource)
	}
	return fault.Wrap(h.failure, fault.AgentError, "%s cannot be read from the API server", h.resource)
}
