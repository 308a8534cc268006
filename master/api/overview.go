package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

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
	p := a.params(r)
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

// fill reads the parts side by side. What cannot be shown says why in its part; it is an
// error when that goes for all of them and is not only that nothing was collected yet.
func (a *API) fill(ctx context.Context, cluster key.Cluster, page *clusterOverview) error {
	sources := page.sources()
	errs := make([]error, len(sources))
	errs[0] = a.explain(ctx, cluster, a.fillPart(ctx, cluster, sources[0]))
	noKubernetes := errors.Is(errs[0], errNoKubernetes)
	var group errgroup.Group
	for i := 1; i < len(sources); i++ {
		if noKubernetes && isKube(sources[i].section) {
			errs[i] = errs[0]
			continue
		}
		group.Go(func() error {
			errs[i] = a.fillPart(ctx, cluster, sources[i])
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var worst error
	for i, err := range errs {
		if err == nil {
			continue
		}
		sources[i].part.Stale, sources[i].part.Error = true, fault.From(err).Message
		if worst == nil || !fault.Is(err, fault.NotReady) {
			worst = err
		}
	}
	if slices.Contains(errs, nil) || fault.Is(worst, fault.NotReady) {
		return nil
	}
	return worst
}

// fillPart reads one part.
func (a *API) fillPart(ctx context.Context, cluster key.Cluster, source overviewSource) error {
	part := source.part
	if source.kind == nil {
		section, err := a.cfg.Dashboards.Section(ctx, cluster, source.section)
		if err != nil {
			return err
		}
		part.Data = section.Data()
		part.say(section.Meta())
		return nil
	}
	section, objects, err := a.objects(ctx, cluster, source.kind)
	if err != nil {
		return err
	}
	trouble, total := objects.Trouble(maxTrouble)
	part.Data, part.Total = slices.Concat([]byte{'['}, bytes.Join(trouble, []byte{','}), []byte{']'}), &total
	part.say(section.Meta())
	return nil
}

func (p *overviewPart) say(meta *envelope.Meta) {
	p.CollectedAt, p.Stale, p.Error = meta.CollectedAt, meta.Stale, meta.Error
}
