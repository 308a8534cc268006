package main

import (
	"context"
	"log/slog"
	"os"
	"time"

	"github.com/atlhyper/observe/loadtest/fleet"
	"github.com/atlhyper/observe/redis/conn"
)

// fleetCmd takes nothing from the environment, as demoCmd.
type fleetCmd struct {
	Redis       string        `default:"redis://127.0.0.1:6379/0" help:"Redis to publish to." placeholder:"URL" env:"-"`
	Clusters    int           `default:"10" help:"How many clusters." env:"-"`
	Prefix      string        `default:"sim" help:"Begins their names: sim-0, sim-1 and so on." env:"-"`
	Agents      int           `default:"1" help:"Agents of each cluster." env:"-"`
	Interval    time.Duration `default:"10s" help:"Time between two publishes." env:"-"`
	Nodes       int           `default:"6" help:"Nodes of each cluster." env:"-"`
	Services    int           `default:"12" help:"Services of each cluster." env:"-"`
	Edges       int           `default:"0" help:"Pairs of services that call each other; 0: 3 for every 2 services." env:"-"`
	ChangeEvery int           `default:"3" help:"In how many intervals a section's value changes once." env:"-"`
	QueryTime   time.Duration `default:"20ms" help:"How long a detail query runs." env:"-"`
	QuerySpread time.Duration `default:"0" help:"How much longer on average: most queries a little, few much." env:"-"`
	Items       int           `default:"20" help:"Spans, log lines or points of a detail reply." env:"-"`
	Slots       int           `default:"16" help:"Commands that an agent runs side by side." env:"-"`
	Verbose     bool          `short:"v" help:"Show what the agents log at info." env:"-"`
}

// Run runs the agents until ctx ends.
func (c *fleetCmd) Run(ctx context.Context) error {
	level := slog.LevelWarn
	if c.Verbose {
		level = slog.LevelInfo
	}
	logger := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
	conn.LibraryLog(logger)
	f, err := fleet.New(fleet.Config{
		Redis: c.Redis, Clusters: c.Clusters, Prefix: c.Prefix, Agents: c.Agents, Interval: c.Interval,
		Nodes: c.Nodes, Services: c.Services, Edges: c.Edges, ChangeEvery: c.ChangeEvery,
		QueryTime: c.QueryTime, QuerySpread: c.QuerySpread, Items: c.Items, Slots: c.Slots, Logger: logger,
	})
	if err != nil {
		return err
	}
	return f.Run(ctx)
}
