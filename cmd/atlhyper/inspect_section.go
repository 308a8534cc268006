package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"

	"github.com/atlhyper/observe/cmd/internal/terminal"
	"github.com/atlhyper/observe/redis/inspect"
	"github.com/atlhyper/observe/shared/model"
)

type inspectSection struct {
	clusterFlag

	Name string `arg:"" help:"Name of the section, such as metrics.nodes; inspect sections lists them."`
}

// Run prints one section.
func (c *inspectSection) Run(ctx context.Context, all *inspectCmd, s streams) error {
	return all.ask(ctx, s, func(ctx context.Context, i *inspect.Inspector) error {
		cluster, err := c.id()
		if err != nil {
			return err
		}
		v, err := i.Section(ctx, cluster, model.Section(c.Name))
		if err != nil {
			return err
		}
		text := terminal.AppendJSON(nil, v.JSON)
		if terminal.Is(s.out) && all.Output != "json" {
			var pretty bytes.Buffer
			if err := json.Indent(&pretty, text, "", "  "); err != nil {
				return printed(err)
			}
			text = pretty.Bytes()
		}
		if _, err := s.out.Write(append(text, '\n')); err != nil {
			return printed(err)
		}
		if !v.Stale {
			return nil
		}
		_, err = fmt.Fprintf(s.notes, "inspect: the value is %s old: %s\n", span(v.AgeSeconds), terminal.Text(cmp.Or(v.Error, "its agent has not written since")))
		return printed(err)
	})
}
