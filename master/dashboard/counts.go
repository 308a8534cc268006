package dashboard

import (
	"context"

	"github.com/atlhyper/observe/redis/snapshot"
	"github.com/atlhyper/observe/shared/codec"
	"github.com/atlhyper/observe/shared/model"
)

// counts are the numbers that lists of clusters show; nil while nothing says one: a
// count that is not known is no zero.
type counts struct{ nodes, pods *int64 }

// countSections are the sections that have them.
func countSections() [2]model.Section {
	return [2]model.Section{model.SectionMetricsSummary, model.SectionKubeSummary}
}

// countsIn are the counts in a section's value. A summary that cannot be read, say of a
// newer agent, hides the counts of its own cluster, not the list of all of them: its own
// endpoint says why.
func countsIn(name model.Section, packed []byte) counts {
	switch name {
	case model.SectionMetricsSummary:
		var metrics model.MetricsSummary
		if codec.Decode(packed, &metrics) == nil {
			return counts{nodes: &metrics.TotalNodes}
		}
	case model.SectionKubeSummary:
		var kube model.KubeSummary
		if codec.Decode(packed, &kube) == nil && kube.Pods != nil {
			return counts{pods: &kube.Pods.Total}
		}
	}
	return counts{}
}

// add takes over the counts that another section has.
func (c *counts) add(other counts) {
	if other.nodes != nil {
		c.nodes = other.nodes
	}
	if other.pods != nil {
		c.pods = other.pods
	}
}

// counts reads the counts of a cluster. The error is that of ctx.
func (s *Service) counts(ctx context.Context, info snapshot.ClusterInfo) (all counts, err error) {
	for _, name := range countSections() {
		if _, there := info.Sections[name]; !there {
			continue
		}
		section, err := read(ctx, s.cfg.ReadTimeout, func(ctx context.Context) (snapshot.Section, error) {
			return s.reader.Section(ctx, info.ID, name)
		})
		if ctx.Err() != nil {
			return all, ctx.Err()
		}
		if err == nil { // else the section's own endpoint says why
			all.add(countsIn(name, section.Data))
		}
	}
	return all, nil
}
