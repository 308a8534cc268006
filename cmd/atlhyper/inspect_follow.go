package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/atlhyper/observe/cmd/internal/terminal"
	"github.com/atlhyper/observe/redis/inspect"
)

type inspectFollow struct {
	clusterFlag

	Command  string        `help:"Only this command, until it is answered." placeholder:"ID" env:"-"`
	Timeout  time.Duration `help:"Longest time; 0: until Ctrl-C." default:"0" env:"-"`
	Interval time.Duration `help:"Time between two looks at the lists: what waits or runs for less is only seen to be answered." default:"200ms" env:"-"`
}

// Run follows commands. A command that was to be followed and never seen is an error.
func (c *inspectFollow) Run(ctx context.Context, all *inspectCmd, s streams) error {
	return terminal.Error(all.connected(s, func(i *inspect.Inspector) error {
		cluster, err := c.id()
		if err != nil {
			return err
		}
		if c.Timeout < 0 {
			return fmt.Errorf("timeout: %s is negative", c.Timeout)
		}
		ctx, cancel := c.bounded(ctx)
		defer cancel()
		seen := false
		err = i.Follow(ctx, inspect.FollowConfig{
			Cluster: cluster, Command: c.Command, Interval: c.Interval,
			See: func(e inspect.Event) error {
				seen = true
				line, err := all.eventLine(e)
				if err != nil {
					return printed(err)
				}
				_, err = s.out.Write(append(line, '\n'))
				return printed(err)
			},
		})
		if err == nil && c.Command != "" && !seen {
			err = fmt.Errorf("command %s of cluster %s was not seen", c.Command, cluster)
		}
		return err
	}))
}

// bounded is ctx with the flag's time.
func (c *inspectFollow) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if c.Timeout == 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, c.Timeout)
}

// eventLine is an event on one line.
func (c *inspectCmd) eventLine(e inspect.Event) ([]byte, error) {
	if c.Output == "json" {
		var line bytes.Buffer
		encoder := json.NewEncoder(&line)
		encoder.SetEscapeHTML(false)
		err := encoder.Encode(e)
		return terminal.AppendJSON(nil, bytes.TrimSuffix(line.Bytes(), []byte("\n"))), err
	}
	at, err := e.At.Parse()
	if err != nil {
		return nil, err
	}
	said := []string{at.Format("15:04:05.000"), e.Command, e.Event}
	for _, part := range []struct {
		there  bool
		format string
		value  any
	}{
		{e.Kind != "", "kind=%s", e.Kind},
		{e.Replica != "", "replica=%s", e.Replica},
		{e.Agent != "", "agent=%s", e.Agent},
		{e.LeftSeconds != 0, "left=%s", span(e.LeftSeconds)},
		{e.TookMs != 0, "took=%gms", e.TookMs},
		{e.Bytes != 0, "bytes=%d", e.Bytes},
		{e.Code != "", "code=%s", e.Code},
		{e.Message != "", "message=%s", e.Message},
	} {
		if part.there {
			said = append(said, fmt.Sprintf(part.format, part.value))
		}
	}
	return []byte(terminal.Text(strings.Join(said, "  "))), nil
}
