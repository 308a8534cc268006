package conn

import (
	"context"
	"log/slog"
	"sync"
)

// Outage logs when something starts to fail and when it works again: one line for
// each change, not one for each try. It is safe for concurrent use.
type Outage struct {
	// Logger gets the lines.
	Logger *slog.Logger
	// What fails, for the log: "publishing".
	What string

	mu     sync.Mutex
	failed bool
}

// Note takes the outcome of one try; err nil means that it worked. A try that was
// cut short by ctx says nothing.
func (o *Outage) Note(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	o.mu.Lock()
	changed := o.failed != (err != nil)
	o.failed = err != nil
	o.mu.Unlock()
	switch {
	case !changed:
	case err != nil:
		o.Logger.WarnContext(ctx, "it fails and is tried again", "what", o.What, "error", err)
	default:
		o.Logger.InfoContext(ctx, "it works again", "what", o.What)
	}
}
