// Package httpserver runs an http.Server until it is told to end, and ends it
// without cutting a request.
package httpserver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// Run serves on listener until ctx is done. Then it stops accepting, lets the
// requests under way finish for at most drain, and cuts the rest. It closes the
// listener in any case. The error is nil after an orderly end, and says when
// requests had to be cut.
//
// Requests get a context that outlives ctx, so that they can finish; it ends
// when they are cut.
func Run(ctx context.Context, server *http.Server, listener net.Listener, drain time.Duration) error {
	base, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	server.BaseContext = func(net.Listener) context.Context { return base }

	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}

	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancel()
	err := server.Shutdown(bounded)
	if err != nil {
		// Connections first: a handler that returns for its context's end would else
		// have its half answer, or an empty 200, sent as a whole one.
		err = errors.Join(fmt.Errorf("requests still run after %s: %w", drain, err), server.Close())
		cut()
	}
	if serveErr := <-served; !errors.Is(serveErr, http.ErrServerClosed) {
		err = errors.Join(err, serveErr)
	}
	return err
}
