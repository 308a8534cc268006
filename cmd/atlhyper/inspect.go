package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/atlhyper/observe/cmd/internal/redisflags"
	"github.com/atlhyper/observe/cmd/internal/terminal"
	"github.com/atlhyper/observe/redis/conn"
	"github.com/atlhyper/observe/redis/inspect"
	"github.com/atlhyper/observe/redis/key"
)

// inspectCmd takes Redis from the environment, as agents and masters do, and nothing
// else: their --interval and --timeout mean other things.
type inspectCmd struct {
	redisflags.Conn

	Output string `help:"text, or json: one document; of follow one on each line." enum:"text,json" default:"text" env:"-"`

	Clusters inspectClusters `cmd:"" help:"List all clusters: status, last seen, agents, the last publish, sections, commands that wait."`
	Sections inspectSections `cmd:"" help:"List the sections of a cluster: age, size as stored and as plain msgpack, codec, the publish that last changed it, how long it took, what failed."`
	Agents   inspectAgents   `cmd:"" help:"List the agents of a cluster and what their last beats said."`
	Queue    inspectQueue    `cmd:"" help:"List the commands that no agent of a cluster has taken."`
	Claims   inspectClaims   `cmd:"" help:"List the commands that agents of a cluster have taken and not answered."`
	Section  inspectSection  `cmd:"" help:"Print the value of a section as JSON, however it is stored: for people on a terminal, else on one line. That the last collection failed stands on standard error."`
	Follow   inspectFollow   `cmd:"" help:"Show what happens to the commands of a cluster, or to one, as it happens, until Ctrl-C: waiting, claimed, canceled, answered. It takes none and delays nobody; acl --inspect prints the rights it needs."`
}

// inspectTimeout bounds everything that is not followed.
const inspectTimeout = time.Minute

// streams are what a sub-command writes to: the answer, and what to know besides.
type streams struct{ out, notes io.Writer }

func standardStreams() streams { return streams{out: os.Stdout, notes: os.Stderr} }

// clusterFlag is the flag of sub-commands about one cluster.
type clusterFlag struct {
	Cluster string `short:"c" help:"The cluster's id." required:"" placeholder:"ID" env:"-"`
}

// id checks the flag.
func (f clusterFlag) id() (key.Cluster, error) {
	if err := key.ValidateCluster(f.Cluster); err != nil {
		return "", err
	}
	return key.Cluster(f.Cluster), nil
}

// ask opens Redis for a question and bounds its time. What others wrote into Redis, and
// errors quote, is made harmless.
func (c *inspectCmd) ask(ctx context.Context, s streams, question func(context.Context, *inspect.Inspector) error) error {
	return terminal.Error(c.connected(s, func(i *inspect.Inspector) error {
		ctx, cancel := context.WithTimeout(ctx, inspectTimeout)
		defer cancel()
		return question(ctx, i)
	}))
}

func (c *inspectCmd) connected(s streams, use func(*inspect.Inspector) error) (err error) {
	logger := slog.New(slog.NewTextHandler(s.notes, nil))
	clients, err := conn.Open(conn.Config{URL: c.Redis, Auth: c.Auth(), TLS: c.TLS(), ClientName: "atlhyper-inspect"})
	if err != nil {
		return fmt.Errorf("inspect: %w", err)
	}
	defer func() { err = errors.Join(err, clients.Close()) }()
	err = use(inspect.New(clients, inspect.Config{Logger: logger}))
	switch {
	case err == nil:
		return nil
	case inspect.MissesRight(err):
		return fmt.Errorf("inspect: %w; atlhyper acl --inspect prints the rights that it needs", err)
	default:
		return fmt.Errorf("inspect: %w", err)
	}
}

// print writes the answer as JSON or as text does, whichever is wanted.
func (c *inspectCmd) print(w io.Writer, answer any, text func(io.Writer) error) error {
	if c.Output != "json" {
		return printed(text(w))
	}
	var plain bytes.Buffer
	encoder := json.NewEncoder(&plain)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(answer); err != nil {
		return printed(err)
	}
	_, err := w.Write(terminal.AppendJSON(nil, plain.Bytes()))
	return printed(err)
}

func printed(err error) error {
	if err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return nil
}
