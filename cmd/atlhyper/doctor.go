package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/atlhyper/observe/agent/clickhouse"
	"github.com/atlhyper/observe/cmd/internal/chflags"
)

type doctorCmd struct {
	chflags.Flags
	Output  string        `help:"text or json." enum:"text,json" default:"text"`
	Timeout time.Duration `help:"Longest time for all of it." default:"2m"`
}

var errNotWell = errors.New("doctor: not every section can be read")

// Run prints what was found. It fails, so that the command exits with 1, when
// something that is there cannot be read.
func (c *doctorCmd) Run(ctx context.Context) error { return c.diagnose(ctx, os.Stdout) }

func (c *doctorCmd) diagnose(ctx context.Context, w io.Writer) (err error) {
	if c.Timeout < time.Second || c.Timeout > time.Hour {
		return fmt.Errorf("doctor: --timeout %s is not between 1s and 1h", c.Timeout)
	}
	store, err := clickhouse.Open(c.Config())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	found := store.Diagnose(ctx)
	if c.Output == "json" {
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		err = encoder.Encode(found)
	} else {
		err = found.WriteText(w)
	}
	switch {
	case err != nil:
		return fmt.Errorf("doctor: print: %w", err)
	case !found.OK:
		return errNotWell
	}
	return nil
}
