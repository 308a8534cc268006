// Command chdb serves the embedded ClickHouse engine over the ClickHouse HTTP
// interface, for tests and demos. It is not a server for production.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/atlhyper/observe/loadtest/chdb"
	"github.com/atlhyper/observe/loadtest/chdb/engine"
)

type cli struct {
	Serve serveCmd `cmd:"" help:"Serve until SIGINT or SIGTERM."`
	Fetch fetchCmd `cmd:"" help:"Fetch the engine into the cache and print its path."`
}

type serveCmd struct {
	Listen        string `default:"127.0.0.1:8123" help:"Address of the HTTP interface; port 0 picks a free one. There is no authentication."`
	Data          string `help:"Directory of the tables; without it they are gone at the end." type:"path"`
	Database      string `help:"Database to create at the start."`
	Lib           string `help:"The libchdb.so to load instead of the cached one." type:"existingfile"`
	MaxConcurrent int    `help:"Statements running at once; others wait. Default 8."`
	MaxThreads    int    `help:"Threads of a statement. Default 2."`
	MaxMemory     int64  `help:"Memory of the engine, in bytes. Default 1.5 GiB."`
	MaxBody       int64  `help:"Size of a request body, in bytes. Default 256 MiB."`
	Shards        int    `help:"Shards of the cluster \"shards\", each of them this engine. Default none."`
	WithParent    bool   `help:"Stop when standard input ends, so that the server never outlives the process that started it." name:"with-parent"`
	Verbose       bool   `help:"Log failed statements to standard error." short:"v"`
}

type fetchCmd struct{}

func main() {
	var c cli
	kctx := kong.Parse(&c, kong.Name("chdb"), kong.Description("The embedded ClickHouse engine behind the ClickHouse HTTP interface."))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	kctx.BindTo(ctx, (*context.Context)(nil))
	kctx.BindTo(os.Stdout, (*io.Writer)(nil))
	kctx.FatalIfErrorf(kctx.Run())
}

// Run prints the path of the engine.
func (*fetchCmd) Run(ctx context.Context, out io.Writer) error {
	path, err := engine.Ensure(ctx, engine.Config{})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, path)
	return err
}

// Run serves until ctx ends, and prints "listening on ADDR" when it accepts.
func (s *serveCmd) Run(ctx context.Context, out io.Writer) error {
	level := slog.LevelWarn
	if s.Verbose {
		level = slog.LevelDebug
	}
	logger := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
	lib := s.Lib
	if lib == "" {
		var err error
		if lib, err = engine.Ensure(ctx, engine.Config{}); err != nil {
			return err
		}
	}
	if s.WithParent {
		var cancel context.CancelCauseFunc
		ctx, cancel = context.WithCancelCause(ctx)
		go func() { cancel(errors.Join(errors.New("standard input ended"), drain(os.Stdin))) }()
	}
	return chdb.Run(ctx, chdb.Config{
		Listen: s.Listen, DataDir: s.Data, LibPath: lib, Database: s.Database,
		MaxConcurrent: s.MaxConcurrent, MaxThreads: s.MaxThreads, MaxMemory: s.MaxMemory, MaxBodySize: s.MaxBody, Shards: s.Shards,
		Logger: logger,
		OnListen: func(addr net.Addr) {
			if _, err := fmt.Fprintf(out, "listening on %s\n", addr); err != nil {
				logger.Warn("cannot report the address", "error", err)
			}
		},
	})
}

// drain reads r to its end.
func drain(r io.Reader) error {
	_, err := io.Copy(io.Discard, r)
	return err
}
