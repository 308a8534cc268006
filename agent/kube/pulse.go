package kube

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/atlhyper/observe/shared/fault"
)

// pulse tells whether the API server answers at all. A watch is silent when nothing
// changes, and as silent when the server is stuck or the network swallows what it
// sends: without a question now and then, that would show after a minute.
type pulse struct {
	patience time.Duration
	clock    func() time.Time
	logger   *slog.Logger

	mu      sync.Mutex
	asked   bool
	failure error     // of the last question; nil when it was answered
	since   time.Time // when the first that failed was asked
}

// run asks twice in each time of patience, until ctx is done.
func (p *pulse) run(ctx context.Context, ask func(context.Context) error) {
	ticker := time.NewTicker(p.patience / 2)
	defer ticker.Stop()
	for {
		p.beat(ctx, ask)
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

func (p *pulse) beat(ctx context.Context, ask func(context.Context) error) {
	began := p.clock()
	limited, cancel := context.WithTimeout(ctx, p.patience)
	defer cancel()
	err := ask(limited)
	if ctx.Err() != nil {
		return // it ended because we do
	}
	// That it refuses is an answer.
	if status := apierrors.APIStatus(nil); errors.As(err, &status) {
		err = nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case err == nil && p.failure != nil:
		p.logger.Info("the Kubernetes API server answers again")
	case err != nil && p.failure == nil:
		p.logger.Warn("the Kubernetes API server does not answer", "error", err)
		p.since = began
	}
	p.asked, p.failure = true, err
}

// beats tells whether the last question was answered.
func (p *pulse) beats() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked && p.failure == nil
}

// check returns an error when nothing was answered for the time of patience.
func (p *pulse) check() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.failure == nil || p.clock().Sub(p.since) < p.patience {
		return nil
	}
	return fault.Wrap(p.failure, fault.AgentError, "the API server does not answer")
}

// alive asks the API server for its version, which all who are known to it may do and
// which costs it nothing.
func (c *clients) alive(ctx context.Context) error {
	return c.typed[corev1.SchemeGroupVersion].Get().AbsPath("/version").Do(ctx).Error()
}
