package main

import (
	"context"
	"fmt"
	"io"

	"github.com/atlhyper/observe/redis/inspect"
)

// commandsFlags are those of sub-commands that list commands.
type commandsFlags struct {
	clusterFlag

	Limit  int  `help:"Most commands of a list, at most 1000." default:"100" placeholder:"N" env:"-"`
	Params bool `help:"Show the commands' parameters, too: what people searched for." env:"-"`
}

type inspectQueue struct{ commandsFlags }

// Run lists the commands that wait.
func (c *inspectQueue) Run(ctx context.Context, all *inspectCmd, s streams) error {
	return all.ask(ctx, s, func(ctx context.Context, i *inspect.Inspector) error {
		cluster, err := c.id()
		if err != nil {
			return err
		}
		got, err := i.Queue(ctx, inspect.QueueConfig{Cluster: cluster, Limit: c.Limit, Params: c.Params})
		if err != nil {
			return err
		}
		return all.print(s.out, got, func(w io.Writer) error {
			t := newTable(c.columns()...)
			for _, cmd := range got.Commands {
				t.add(c.cells(cmd)...)
			}
			return t.write(w, more("%d more wait.", got.Waiting, got.Commands))
		})
	})
}

type inspectClaims struct{ commandsFlags }

// Run lists the commands that agents have.
func (c *inspectClaims) Run(ctx context.Context, all *inspectCmd, s streams) error {
	return all.ask(ctx, s, func(ctx context.Context, i *inspect.Inspector) error {
		cluster, err := c.id()
		if err != nil {
			return err
		}
		got, err := i.Claims(ctx, inspect.ClaimsConfig{Cluster: cluster, Limit: c.Limit, Params: c.Params})
		if err != nil {
			return err
		}
		return all.print(s.out, got, func(w io.Writer) error {
			t := newTable(c.columns("AGENT", "STATE")...)
			var notes []string
			for _, claim := range got.Claims {
				for _, cmd := range claim.Commands {
					t.add(append([]any{claim.Agent, claim.State}, c.cells(cmd)...)...)
				}
				if len(claim.Commands) == 0 {
					t.add(claim.Agent, claim.State, "")
				}
				notes = append(notes, more("Agent "+claim.Agent+" has %d more.", claim.Claimed, claim.Commands))
			}
			return t.write(w, notes...)
		})
	})
}

func (c *commandsFlags) columns(first ...string) []string {
	first = append(first, "ID", "KIND", "LEFT", "REPLICA", "BYTES", "ERROR")
	if c.Params {
		first = append(first, "PARAMS")
	}
	return first
}

func (c *commandsFlags) cells(cmd inspect.Command) []any {
	left := ""
	if cmd.ID != "" {
		left = span(cmd.LeftSeconds)
	}
	cells := []any{cmd.ID, cmd.Kind, left, cmd.Replica, cmd.Bytes, cmd.Error}
	if c.Params {
		cells = append(cells, cmd.Params)
	}
	return cells
}

// more says how many commands there are beside those that are shown.
func more(format string, total int64, shown []inspect.Command) string {
	if rest := total - int64(len(shown)); rest > 0 {
		return fmt.Sprintf(format, rest)
	}
	return ""
}
