package api

import (
	"net/http"
	"strings"
	"time"

	"github.com/atlhyper/observe/master/dashboard"
	"github.com/atlhyper/observe/master/envelope"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/shared/detail"
	"github.com/atlhyper/observe/shared/model"
)

// dashboard serves a section of the snapshot, or the same shape over another
// time range from the cluster's agent.
func (a *API) dashboard(route dashboardRoute) handler {
	return func(x *exchange, r *http.Request) error {
		if cluster, ok := onlyCluster(r.URL.RawQuery); ok {
			if err := x.see(cluster); err != nil {
				return err
			}
			section, err := a.cfg.Dashboards.Section(r.Context(), cluster, route.section)
			if err != nil {
				return err
			}
			return a.sendAnswer(x, r, cluster, section)
		}
		p := a.detailParams(x, r, detail.KindSection)
		asked := p.readDashboard(route)
		if err := p.finish(); err != nil {
			return err
		}
		section, err := a.cfg.Dashboards.Section(r.Context(), p.cluster, route.section)
		if asked.given && (err != nil || !isOwnWindow(asked, section)) {
			// That is a detail, whatever its path says.
			if err := x.mustOperate(); err != nil {
				return err
			}
			// The agent needs no snapshot to answer; if Redis is what failed, it says so again.
			return a.ask(x, r, p, detail.Section{Name: route.section, Range: asked.Range})
		}
		if err != nil {
			return err
		}
		return a.sendAnswer(x, r, p.cluster, section)
	}
}

// readDashboard reads the cluster, and the time range where there may be another than the
// snapshot's own.
func (p *params) readDashboard(route dashboardRoute) (asked timeRange) {
	p.readCluster()
	if route.ranged {
		asked = p.timeRange()
		p.readTimeout()
	}
	return asked
}

// onlyCluster returns the cluster of a query that is nothing but a valid
// cluster_id, as the one that dashboards poll with: it needs no parsing, since what
// is valid has nothing to unescape and no further parameter.
func onlyCluster(query string) (key.Cluster, bool) {
	id, ok := strings.CutPrefix(query, "cluster_id=")
	return key.Cluster(id), ok && key.ValidateCluster(id) == nil
}

// isOwnWindow tells whether the snapshot already answers for the time range: a
// range that ends now and is as long as its window, or exactly its window.
func isOwnWindow(asked timeRange, section *dashboard.Answer) bool {
	if asked.Duration() != section.Window() {
		return false
	}
	return asked.relative || asked.End == section.CollectedAt().UnixMilli()
}

// clusters lists all clusters.
func (a *API) clusters(x *exchange, r *http.Request) error {
	if err := a.params(x, r).finish(); err != nil {
		return err
	}
	clusters, err := a.cfg.Dashboards.Clusters(r.Context())
	if err != nil {
		return err
	}
	return a.sendValue(x, r, visible(x.caller, clusters, func(c *dashboard.Cluster) string { return c.ID }), "")
}

// clusterByID shows one cluster.
func (a *API) clusterByID(x *exchange, r *http.Request) error {
	p := a.params(x, r)
	p.setCluster(p.path("id"))
	if err := p.finish(); err != nil {
		return err
	}
	cluster, err := a.cfg.Dashboards.Cluster(r.Context(), p.cluster)
	if err != nil {
		return err
	}
	return a.sendValue(x, r, cluster, p.cluster)
}

// fleet shows all clusters at a glance.
func (a *API) fleet(x *exchange, r *http.Request) error {
	if err := a.params(x, r).finish(); err != nil {
		return err
	}
	fleet, err := a.cfg.Dashboards.Fleet(r.Context())
	if err != nil {
		return err
	}
	clusters := visible(x.caller, fleet.Clusters, func(c *dashboard.FleetCluster) string { return c.ID })
	body, err := envelope.FromValue(clusters, envelope.Meta{
		CollectedAt: model.NewTime(fleet.CollectedAt.Truncate(time.Millisecond)), Stale: fleet.Stale, Error: fleet.Error,
	})
	if err != nil {
		return err
	}
	return a.send(x, r, body)
}

func (a *API) sendValue(x *exchange, r *http.Request, data any, cluster key.Cluster) error {
	body, err := envelope.FromValue(data, envelope.Meta{
		ClusterID:   string(cluster),
		CollectedAt: model.NewTime(a.cfg.Now(cluster).Truncate(time.Millisecond)),
	})
	if err != nil {
		return err
	}
	return a.send(x, r, body)
}
