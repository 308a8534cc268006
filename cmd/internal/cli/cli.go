// Package cli is what the commands share: signals, logging flags, the version.
package cli

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
	"go.opentelemetry.io/otel/trace"

	"github.com/atlhyper/observe/shared/admin"
	"github.com/atlhyper/observe/shared/build"
	"github.com/atlhyper/observe/shared/span"
	"github.com/atlhyper/observe/shared/tracing"
)

// Log are the logging flags; embed it.
type Log struct {
	LogLevel  slog.Level `help:"debug, info, warn or error." default:"info"`
	LogFormat string     `help:"text or json." enum:"text,json" default:"text"`
}

// Logger writes to standard error as the flags say.
func (l Log) Logger() *slog.Logger {
	logger, _ := l.Adjustable()
	return logger
}

// Adjustable is Logger, and its level, which may be changed while the logger is used.
func (l Log) Adjustable() (*slog.Logger, *slog.LevelVar) {
	level := new(slog.LevelVar)
	level.Set(l.LogLevel)
	options := &slog.HandlerOptions{Level: level}
	var handler slog.Handler = slog.NewTextHandler(os.Stderr, options)
	if l.LogFormat == "json" {
		handler = slog.NewJSONHandler(os.Stderr, options)
	}
	return slog.New(span.LogHandler(handler)), level
}

// Traced runs a process with the traces that OTEL_* ask for, none by default: provider is
// nil then. What is left of them is handed over when it returns; that they are lost is no
// failure of it.
func Traced(ctx context.Context, service string, logger *slog.Logger, run func(provider trace.TracerProvider) error) error {
	tracing.LibraryLog(ctx, logger) // first: Start may have it complain
	traces, err := tracing.Start(ctx, tracing.Config{Service: service, Version: Version(), Logger: logger})
	if err != nil {
		return err
	}
	err = run(traces.Provider())
	if lost := traces.Shutdown(ctx); lost != nil {
		logger.WarnContext(ctx, "the last traces are lost", "error", lost)
	}
	return err
}

// Admin are the flags of the listener for who operates the process; embed it. Its default
// is the variable admin_listen.
type Admin struct {
	AdminListen   string `help:"Address of profiles, build info, the log level and /metrics, without credentials: a loopback one; off: none." default:"${admin_listen}" placeholder:"HOST:PORT"`
	InsecureAdmin bool   `help:"Allow --admin-listen on an address that others reach: they could read the process's memory."`
}

// AdminConfig is what the flags say.
func (a Admin) AdminConfig(level *slog.LevelVar) admin.Config {
	if a.AdminListen == "off" {
		return admin.Config{}
	}
	return admin.Config{Listen: a.AdminListen, Insecure: a.InsecureAdmin, Level: level}
}

// Options are those of every command. Each flag can be given as an environment
// variable, too: --max-range as ATLHYPER_MAX_RANGE.
func Options(name, description string, defaults kong.Vars) []kong.Option {
	return []kong.Option{
		kong.Name(name), kong.Description(description), kong.DefaultEnvars("ATLHYPER"),
		defaults, kong.Vars{"version": Version()},
	}
}

// Version is the module's version in this build.
func Version() string { return build.Read().Version }

// echo is how long after the first signal another one is taken for the same one:
// a terminal and a parent process that passes signals on both deliver a Ctrl-C.
const echo = 2 * time.Second

// Main runs a command until it returns or SIGINT, SIGTERM or SIGHUP (the terminal
// closes) ends its context; a second signal, later than echo, ends the process at
// once. A reader of its output that goes away is an error of the write, not the
// end of the process before it could clean up. It does not return.
func Main(run func(context.Context) error) {
	signal.Ignore(syscall.SIGPIPE)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	context.AfterFunc(ctx, func() { time.AfterFunc(echo, stop) })
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}
