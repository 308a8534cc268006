package admin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"

	"github.com/atlhyper/observe/shared/httpserver"
)

// Beside is what a process listens on beside its work. The zero value listens nowhere.
type Beside struct {
	// Admin is the listener for who operates the process.
	Admin Config
	// MetricsListen is the address, host:port, of a listener for /metrics alone, without
	// credentials; port 0 takes a free one. "" means nowhere.
	MetricsListen string
	// OnMetricsListen, if set, is told the address once that listener answers.
	OnMetricsListen func(net.Addr)
	// Metrics answers /metrics on both. Required where one of them listens.
	Metrics http.Handler
	// Logger gets what goes wrong. Required where one of them listens.
	Logger *slog.Logger
}

// Validate names the listeners whose addresses cannot be listened on.
func (b Beside) Validate() error {
	var wrong error
	if _, _, err := net.SplitHostPort(b.MetricsListen); b.MetricsListen != "" && err != nil {
		wrong = fmt.Errorf("metrics listen: %q is no host:port", b.MetricsListen)
	}
	return errors.Join(wrong, b.Admin.Validate())
}

// Start listens until the returned function is called, which must be once: what is at the
// end of the process's work is still seen. Errors name the listener.
func (b Beside) Start(ctx context.Context) (end func() error, err error) {
	operating, err := Start(ctx, b.Admin, b.Metrics, b.Logger)
	if err != nil {
		return nil, err
	}
	if b.MetricsListen == "" {
		return operating.End, nil
	}
	metrics, err := httpserver.StartSide(ctx, httpserver.SideConfig{
		Name: "metrics", Address: b.MetricsListen, Handler: OnPath(b.Metrics), Logger: b.Logger,
	})
	if err != nil {
		return nil, errors.Join(err, operating.End())
	}
	if b.OnMetricsListen != nil {
		b.OnMetricsListen(metrics.Addr())
	}
	return func() error { return httpserver.EndAll(metrics, operating) }, nil
}

// OnPath is the handler of a listener that serves nothing but /metrics, and /healthz to
// whoever wants to know whether the process lives.
func OnPath(metrics http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", metrics)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	return mux
}
