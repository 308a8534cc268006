package kube

import (
	"time"

	"github.com/atlhyper/observe/shared/model"
)

// summary counts what the other sections list; what cannot be read is named unknown.
func summary(of map[string]*informer) *section {
	s := &section{}
	parts := []struct {
		resource string
		count    func(*model.KubeSummary, []*item)
	}{
		{"nodes", func(m *model.KubeSummary, items []*item) { m.Nodes = countNodes(items) }},
		{"pods", func(m *model.KubeSummary, items []*item) { m.Pods = countPods(items) }},
		{"namespaces", func(m *model.KubeSummary, items []*item) { m.Namespaces = total(items) }},
		{"deployments", func(m *model.KubeSummary, items []*item) { m.Deployments = countWorkloads(items) }},
		{"statefulsets", func(m *model.KubeSummary, items []*item) { m.StatefulSets = countWorkloads(items) }},
		{"daemonsets", func(m *model.KubeSummary, items []*item) { m.DaemonSets = countWorkloads(items) }},
		{"jobs", func(m *model.KubeSummary, items []*item) { m.Jobs = countJobs(items) }},
	}
	for _, p := range parts {
		s.inputs = append(s.inputs, of[p.resource])
	}
	s.inputs = append(s.inputs, of["events"])
	s.build = func(now time.Time, read []reading) (any, time.Time) {
		m := &model.KubeSummary{Unknown: []string{}}
		for i, p := range parts {
			if read[i].denied {
				m.Unknown = append(m.Unknown, p.resource)
				continue
			}
			p.count(m, of[p.resource].items())
		}
		recent, until := of["events"].kind.value(of["events"].items(), now)
		if list, ok := recent.([]*model.KubeEvent); ok && !read[len(parts)].denied {
			warnings := int64(0)
			for _, e := range list {
				if e.Type == "Warning" {
					warnings++
				}
			}
			m.Warnings = &warnings
		} else {
			m.Unknown = append(m.Unknown, "events")
		}
		return m, until
	}
	return s
}

func total(items []*item) *int64 {
	n := int64(len(items))
	return &n
}

func countNodes(items []*item) *model.KubeNodeCounts {
	c := &model.KubeNodeCounts{Total: int64(len(items))}
	for _, it := range items {
		n, ok := it.shown.(*model.KubeNode)
		if !ok {
			continue
		}
		if n.Ready {
			c.Ready++
		}
		if n.Unschedulable {
			c.Unschedulable++
		}
	}
	return c
}

func countPods(items []*item) *model.KubePodCounts {
	c := &model.KubePodCounts{Total: int64(len(items))}
	phases := map[string]*int64{"Pending": &c.Pending, "Running": &c.Running, "Succeeded": &c.Succeeded, "Failed": &c.Failed}
	for _, it := range items {
		p, ok := it.shown.(*model.KubePod)
		if !ok {
			continue
		}
		if n, known := phases[p.Phase]; known {
			*n++
		} else {
			c.Unknown++
		}
		if p.Phase == "Running" && p.Ready < int64(len(p.Containers)) {
			c.NotReady++
		}
		c.Restarts += p.Restarts
	}
	return c
}

func countWorkloads(items []*item) *model.KubeWorkloadCounts {
	c := &model.KubeWorkloadCounts{Total: int64(len(items))}
	for _, it := range items {
		healthy := false
		switch w := it.shown.(type) {
		case *model.KubeDeployment:
			healthy = w.AvailableReplicas >= w.Replicas
		case *model.KubeStatefulSet:
			healthy = w.ReadyReplicas >= w.Replicas
		case *model.KubeDaemonSet:
			healthy = w.NumberAvailable >= w.DesiredNumberScheduled
		}
		if healthy {
			c.Healthy++
		}
	}
	return c
}

func countJobs(items []*item) *model.KubeJobCounts {
	c := &model.KubeJobCounts{Total: int64(len(items))}
	for _, it := range items {
		j, ok := it.shown.(*model.KubeJob)
		if !ok {
			continue
		}
		switch j.Status {
		case jobActive:
			c.Active++
		case jobComplete:
			c.Complete++
		case jobFailed:
			c.Failed++
		}
	}
	return c
}
