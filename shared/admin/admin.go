// Package admin is the listener for who operates a process: profiles, which build it
// is, its log level, its metrics. It asks for no credentials, so it listens on loopback
// addresses unless it is told otherwise, and refuses what a browser was talked into.
package admin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/atlhyper/observe/shared/httpserver"
)

// Config is what the listener needs. The zero value listens nowhere.
type Config struct {
	// Listen is the address, host:port; port 0 takes a free one. "" means nowhere.
	Listen string
	// Insecure allows an address that is not a loopback one: whoever reaches it can read
	// the process's memory, slow it down and turn its log off.
	Insecure bool
	// Level is the log's. nil means that it cannot be changed: no /loglevel.
	Level *slog.LevelVar
	// OnListen, if set, is told the address once it answers.
	OnListen func(net.Addr)
}

// Validate says why the address cannot be listened on.
func (c Config) Validate() error {
	if c.Listen == "" {
		return nil
	}
	host, _, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return fmt.Errorf("admin listen: %.100q is no host:port", c.Listen)
	}
	if !c.Insecure && !isLoopback(host) {
		return fmt.Errorf("admin listen: %.100q is not a loopback address, and the listener asks for no credentials: "+
			"anyone who reaches it could read this process's memory; --insecure-admin allows it", c.Listen)
	}
	return nil
}

// isLoopback tells whether only this machine reaches an address. Of names it knows
// localhost; what another one means may change.
func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Start listens, if the Config says where, until the returned Side is told to end. It is
// nil where there is none. metrics answers /metrics. Errors name --admin-listen.
func Start(ctx context.Context, cfg Config, metrics http.Handler, logger *slog.Logger) (*httpserver.Side, error) {
	if cfg.Listen == "" {
		return nil, nil
	}
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if metrics == nil || logger == nil {
		return nil, errors.New("admin: metrics and logger are required")
	}
	side, err := httpserver.StartSide(ctx, httpserver.SideConfig{
		Name: "admin", Address: cfg.Listen, Handler: handler(cfg.Level, metrics, logger),
		Timeout: maxSeconds*time.Second + writeSlack, Logger: logger,
	})
	if err != nil {
		return nil, fmt.Errorf("%w (--admin-listen says where, or off)", err)
	}
	if cfg.OnListen != nil {
		cfg.OnListen(side.Addr())
	}
	return side, nil
}

func handler(level *slog.LevelVar, metrics http.Handler, logger *slog.Logger) http.Handler {
	mux := http.NewServeMux()
	profiles(mux)
	mux.HandleFunc("GET /buildinfo", buildInfo)
	mux.Handle("GET /metrics", metrics)
	if level != nil {
		l := logLevel{level: level, logger: logger}
		mux.HandleFunc("GET /loglevel", l.get)
		mux.HandleFunc("PUT /loglevel", l.put)
	}
	return guarded(mux)
}
