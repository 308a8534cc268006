//go:build linux || darwin

package chdb

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// shutdownGrace is how long running statements may still take at the end.
const shutdownGrace = 5 * time.Second

// Run serves until ctx ends: it then stops accepting, gives running
// statements five seconds, cancels the rest in the engine, and returns nil.
// There can be one at a time in a process, since the engine is one per process.
func Run(ctx context.Context, cfg Config) (err error) {
	cfg, err = cfg.withDefaults()
	if err != nil {
		return err
	}
	dataDir := cfg.DataDir
	if dataDir == "" {
		if dataDir, err = os.MkdirTemp("", "chdb-data-*"); err != nil {
			return fmt.Errorf("make a temporary data directory: %w", err)
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dataDir)) }()
	}
	if err := os.MkdirAll(dataDir, 0o750); err != nil {
		return fmt.Errorf("make the data directory: %w", err)
	}
	// Listen first: a port that is taken costs nothing then.
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", cfg.Listen)
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := listener.Close(); !errors.Is(closeErr, net.ErrClosed) {
			err = errors.Join(err, closeErr)
		}
	}()
	sessions, err := newSessions(cfg, dataDir)
	if err != nil {
		return err
	}
	defer sessions.close()
	h, err := newHandler(cfg, sessions)
	if err != nil {
		return err
	}
	return serve(ctx, cfg, listener, h)
}

func newHandler(cfg Config, s *sessions) (*handler, error) {
	if cfg.Database != "" {
		if err := s.keeper.Exec("CREATE DATABASE IF NOT EXISTS " + quoteName(cfg.Database)); err != nil {
			return nil, fmt.Errorf("create the database %q: %w", cfg.Database, err)
		}
	}
	about, _, err := s.keeper.Query("SELECT timezone(), displayName()", "TabSeparated", nil)
	if err != nil {
		return nil, fmt.Errorf("ask the engine about itself: %w", err)
	}
	zone, name, _ := strings.Cut(strings.TrimSpace(string(about)), "\t")
	return &handler{cfg: cfg, sessions: s, log: cfg.Logger, zone: zone, name: name}, nil
}

// serve accepts requests until ctx ends.
func serve(ctx context.Context, cfg Config, listener net.Listener, h http.Handler) error {
	// Requests outlive ctx by the grace, then they are cancelled.
	requests, cancelRequests := context.WithCancel(context.WithoutCancel(ctx))
	defer cancelRequests()
	server := &http.Server{
		Handler:           h,
		BaseContext:       func(net.Listener) context.Context { return requests },
		ReadHeaderTimeout: 10 * time.Second,
		MaxHeaderBytes:    1 << 20,
		ErrorLog:          slog.NewLogLogger(cfg.Logger.Handler(), slog.LevelWarn),
	}
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() error {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	group.Go(func() error {
		<-groupCtx.Done()
		grace, cancel := context.WithTimeout(requests, shutdownGrace)
		defer cancel()
		if err := server.Shutdown(grace); err == nil {
			return nil
		}
		cancelRequests()
		// Cuts uploads and downloads that are stuck; sessions.close waits for
		// what the engine still runs.
		return server.Close()
	})
	if cfg.OnListen != nil {
		cfg.OnListen(listener.Addr())
	}
	return group.Wait()
}
