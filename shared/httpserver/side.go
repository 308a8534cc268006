package httpserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// SideConfig is what a Side needs.
type SideConfig struct {
	// Name says in errors and in the log what the listener is: "metrics". Required.
	Name string
	// Address is host:port; port 0 takes a free one. Required.
	Address string
	// Handler answers. Required.
	Handler http.Handler
	// Timeout bounds the writing of an answer, from the end of its request's header.
	// 0 means 10 s.
	Timeout time.Duration
	// Logger gets what goes wrong. Required.
	Logger *slog.Logger
}

// Bounds of a connection to a Side.
const (
	sideTimeout = 10 * time.Second
	sideHeader  = 8 << 10
	sideBody    = 64 << 10
	sideDrain   = time.Second
)

// Side is a listener beside a process's work: it answers until it is told to end, and
// what it does not do decides nothing else.
type Side struct {
	addr  net.Addr
	stop  context.CancelFunc
	ended chan error
}

// StartSide listens and serves. The error names the listener. ctx does not end it:
// what is at its end is still seen.
func StartSide(ctx context.Context, cfg SideConfig) (*Side, error) {
	var listen net.ListenConfig
	listener, err := listen.Listen(ctx, "tcp", cfg.Address)
	if err != nil {
		return nil, fmt.Errorf("%s listen: %w", cfg.Name, err)
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = sideTimeout
	}
	server := &http.Server{
		Handler:           http.MaxBytesHandler(cfg.Handler, sideBody),
		ReadHeaderTimeout: sideTimeout, ReadTimeout: sideTimeout, WriteTimeout: cfg.Timeout, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: sideHeader,
		ErrorLog:       slog.NewLogLogger(cfg.Logger.Handler(), slog.LevelDebug),
	}
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	s := &Side{addr: listener.Addr(), stop: stop, ended: make(chan error, 1)}
	go func() {
		err := Run(serving, server, listener, sideDrain)
		if serving.Err() == nil {
			cfg.Logger.ErrorContext(ctx, "a listener ended on its own", "listener", cfg.Name, "error", err)
		}
		s.ended <- err
	}()
	cfg.Logger.InfoContext(ctx, "listens", "listener", cfg.Name, "address", s.addr.String())
	return s, nil
}

// Addr is where it listens.
func (s *Side) Addr() net.Addr { return s.addr }

// End ends it; requests under way have a second to finish, and are cut then, which is
// no error. It must be called once. A nil Side ends at once.
func (s *Side) End() error {
	if s == nil {
		return nil
	}
	s.stop()
	err := <-s.ended
	if errors.Is(err, context.DeadlineExceeded) {
		return nil
	}
	return err
}

// EndAll ends some at the same time: together they take no longer than one of them.
func EndAll(sides ...*Side) error {
	for _, s := range sides {
		if s != nil {
			s.stop()
		}
	}
	errs := make([]error, len(sides))
	for i, s := range sides {
		errs[i] = s.End()
	}
	return errors.Join(errs...)
}
