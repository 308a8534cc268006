package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/atlhyper/observe/master/dashboard"
	"github.com/atlhyper/observe/master/envelope"
	"github.com/atlhyper/observe/master/resources"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/shared/fault"
	"github.com/atlhyper/observe/shared/model"
)

// maxTrouble bounds each list of the overview.
const maxTrouble = 20

// clusterOverview is a cluster's page.
type clusterOverview struct {
	Cluster dashboard.Cluster `json:"cluster"` // its sections are those of this answer
	Summary overviewPart      `json:"summary"` // k8s.summary
	OTel    overviewPart      `json:"otel"`    // otel.overview
	Metrics overviewPart      `json:"metrics"` // metrics.summary
	SLO     overviewPart      `json:"slo"`     // slo.summary
	// Warnings are the newest events of type Warning.
	Warnings overviewPart `json:"warnings"`
	// Unhealthy are nodes that are not ready, pods that neither run with all containers
	// ready nor have succeeded, workloads with fewer replicas than they want, and jobs
	// that failed.
	Unhealthy unhealthyParts `json:"unhealthy"`
}

type unhealthyParts struct {
	Nodes        overviewPart `json:"nodes"`
	Pods         overviewPart `json:"pods"`
	Deployments  overviewPart `json:"deployments"`
	StatefulSets overviewPart `json:"statefulSets"`
	DaemonSets   overviewPart `json:"daemonSets"`
	Jobs         overviewPart `json:"jobs"`
}

// overviewPart is what a section says, with what its meta would say of it.
type overviewPart struct {
	Data        json.RawMessage `json:"data"`            // null when it cannot be shown
	Total       *int            `json:"total,omitempty"` // of lists: how many there are, beside those in Data
	CollectedAt model.Time      `json:"collectedAt"`     // "" when it cannot be shown
	Stale       bool            `json:"stale"`
	Error       string          `json:"error,omitempty"`
}

// overviewSource is where a part comes from: a section as it is, or what is wrong with
// the objects of a kind.
type overviewSource struct {
	part    *overviewPart
	section model.Section
	kind    *resources.Kind // nil: the section as it is
}

func (o *clusterOverview) sources() []overviewSource {
	sources := []overviewSource{
		{&o.Summary, model.SectionKubeSummary, nil},
		{&o.OTel, model.SectionOverview, nil},
		{&o.Metrics, model.SectionMetricsSummary, nil},
		{&o.SLO, model.SectionSLOSummary, nil},
	}
	lists := map[model.Section]*overviewPart{
		model.SectionKubeEvents:       &o.Warnings,
		model.SectionKubeNodes:        &o.Unhealthy.Nodes,
		model.SectionKubePods:         &o.Unhealthy.Pods,
		model.SectionKubeDeployments:  &o.Unhealthy.Deployments,
		model.SectionKubeStatefulSets: &o.Unhealthy.StatefulSets,
		model.SectionKubeDaemonSets:   &o.Unhealthy.DaemonSets,
		model.SectionKubeJobs:         &o.Unhealthy.Jobs,
	}
	for _, kind := range resources.Kinds() {
		if part := lists[kind.Section]; part != nil {
			sources = append(sources, overviewSource{part, kind.Section, kind})
		}
	}
	return sources
}

// overview shows a cluster's page in one answer.
func (a *API) overview(x *exchange, r *http.Request) error {
	p := a.params(x, r)
	p.readCluster()
	if err := p.finish(); err != nil {
		return err
	}
	page := &clusterOverview{}
	if err := a.fill(r.Context(), p.cluster, page); err != nil {
		return err
	}
	held, ok := a.cfg.Dashboards.Held(p.cluster)
	if !ok {
		var err error
		if held, err = a.cfg.Dashboards.Cluster(r.Context(), p.cluster); err != nil {
			return err
		}
	}
	page.Cluster = held
	body, err := envelope.FromValue(page, envelope.Meta{
		ClusterID:     string(p.cluster),
		CollectedAt:   model.NewTime(a.cfg.Now(p.cluster).Truncate(time.Millisecond)),
		ClusterStatus: held.Status,
	})
	if err != nil {
		return err
	}
	return a.send(x, r, body)
}

// fill reads the parts. What cannot be shown says why in its part; it is an error when
// that goes for all of them and is not only that nothing was collected yet.
func (a *API) fill(ctx context.Context, cluster key.Cluster, page *clusterOverview) error {
	sources := page.sources()
	sections, errs := a.readAll(ctx, cluster, sources)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var worst error
	for i, source := range sources {
		if errs[i] == nil {
			errs[i] = source.part.fill(sections[i], cluster, source.kind)
		}
		if errs[i] == nil {
			continue
		}
		source.part.Stale, source.part.Error = true, fault.From(errs[i]).Message
		if worst == nil || !fault.Is(errs[i], fault.NotReady) {
			worst = errs[i]
		}
	}
	if slices.Contains(errs, nil) || fault.Is(worst, fault.NotReady) {
		return nil
	}
	return worst
}

// readAll reads the sections of all sources: the first, which tells whether there is
// anything of Kubernetes, then the others side by side.
func (a *API) readAll(ctx context.Context, cluster key.Cluster, sources []overviewSource) ([]*dashboard.Answer, []error) {
	sections, errs := make([]*dashboard.Answer, len(sources)), make([]error, len(sources))
	read := func(i int) { sections[i], errs[i] = a.cfg.Dashboards.Section(ctx, cluster, sources[i].section) }
	read(0)
	errs[0] = a.explain(ctx, cluster, errs[0])
	var all sync.WaitGroup
	for i := 1; i < len(sources); i++ {
		if isKube(sources[i].section) && errors.Is(errs[0], errNoKubernetes) {
			errs[i] = errs[0]
			continue
		}
		all.Go(func() { read(i) })
	}
	all.Wait()
	return sections, errs
}

// fill shows a section, or, of a kind, what is wrong with the objects in it.
func (p *overviewPart) fill(section *dashboard.Answer, cluster key.Cluster, kind *resources.Kind) error {
	data := section.Data()
	if kind != nil {
		objects, err := objectsOf(section, cluster, kind)
		if err != nil {
			return err
		}
		trouble, total := objects.Trouble(maxTrouble)
		data, p.Total = slices.Concat([]byte{'['}, bytes.Join(trouble, []byte{','}), []byte{']'}), &total
	}
	meta := section.Meta()
	p.Data, p.CollectedAt, p.Stale, p.Error = data, meta.CollectedAt, meta.Stale, meta.Error
	return nil
}
