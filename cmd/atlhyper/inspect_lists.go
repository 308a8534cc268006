package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/atlhyper/observe/redis/inspect"
)

type inspectClusters struct{}

// Run lists the clusters.
func (*inspectClusters) Run(ctx context.Context, all *inspectCmd, s streams) error {
	return all.ask(ctx, s, func(ctx context.Context, i *inspect.Inspector) error {
		got, err := i.Clusters(ctx)
		if err != nil {
			return err
		}
		return all.print(s.out, got, func(w io.Writer) error {
			t := newTable("ID", "STATUS", "SEEN", "AGENTS", "SNAPSHOT", "SEQ", "SECTIONS", "WAITING", "NOTES")
			for _, c := range got.Clusters {
				waiting := "?"
				if c.Waiting != nil {
					waiting = strconv.FormatInt(*c.Waiting, 10)
				}
				t.add(c.ID, c.Status, age(string(c.LastSeen), c.LastSeenSeconds), fmt.Sprintf("%d of %d live", c.LiveAgents, c.AgentCount),
					c.Snapshot.State, c.Snapshot.Seq, sectionCount(c), waiting, clusterNotes(c))
			}
			return t.write(w, got.Incomplete)
		})
	})
}

func sectionCount(c inspect.Cluster) string {
	if c.StaleSections == 0 {
		return strconv.Itoa(c.SectionCount)
	}
	return fmt.Sprintf("%d, %d stale", c.SectionCount, c.StaleSections)
}

func clusterNotes(c inspect.Cluster) string {
	var notes []string
	if !c.Listed {
		notes = append(notes, "no master has listed it")
	}
	if c.Error != "" {
		notes = append(notes, c.Error)
	}
	return strings.Join(notes, "; ")
}

type inspectSections struct{ clusterFlag }

// Run lists the sections of a cluster.
func (c *inspectSections) Run(ctx context.Context, all *inspectCmd, s streams) error {
	return all.ask(ctx, s, func(ctx context.Context, i *inspect.Inspector) error {
		cluster, err := c.id()
		if err != nil {
			return err
		}
		got, err := i.Sections(ctx, cluster)
		if err != nil {
			return err
		}
		return all.print(s.out, got, func(w io.Writer) error {
			t := newTable("SECTION", "STATE", "AGE", "INTERVAL", "STORED", "PLAIN", "CODEC", "SEQ", "TOOK", "ERROR")
			for _, x := range got.Sections {
				t.add(x.Name, sectionState(x), age(string(x.At), x.AgeSeconds), span(x.IntervalSeconds),
					x.StoredBytes, x.Bytes, x.Codec, x.Seq, fmt.Sprintf("%dms", x.TookMs), x.Error)
			}
			note := ""
			if got.Snapshot.State != "live" {
				note = fmt.Sprintf("The snapshot is %s; last published: %s.", got.Snapshot.State, orNever(string(got.Snapshot.PublishedAt)))
			}
			return t.write(w, note)
		})
	})
}

func sectionState(s inspect.Section) string {
	switch {
	case s.Error != "":
		return "failed"
	case s.Bytes > 0 && s.StoredBytes == 0:
		return "lost"
	case s.Stale:
		return "stale"
	default:
		return "fresh"
	}
}

type inspectAgents struct{ clusterFlag }

// Run lists the agents of a cluster.
func (c *inspectAgents) Run(ctx context.Context, all *inspectCmd, s streams) error {
	return all.ask(ctx, s, func(ctx context.Context, i *inspect.Inspector) error {
		cluster, err := c.id()
		if err != nil {
			return err
		}
		got, err := i.Agents(ctx, cluster)
		if err != nil {
			return err
		}
		return all.print(s.out, got, func(w io.Writer) error {
			t := newTable("AGENT", "STATE", "BEAT", "VERSION", "STARTED", "BUSY", "PUBLISHES")
			for _, a := range got.Agents {
				publishes := ""
				if a.Publishes {
					publishes = "yes"
				}
				t.add(a.Instance, a.State, age(string(a.LastBeat), a.BeatAgeSeconds), a.Version, a.StartedAt,
					fmt.Sprintf("%d of %d", a.Busy, a.Slots), publishes)
			}
			return t.write(w)
		})
	})
}
