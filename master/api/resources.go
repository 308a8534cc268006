package api

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/atlhyper/observe/master/dashboard"
	"github.com/atlhyper/observe/master/envelope"
	"github.com/atlhyper/observe/master/resources"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/shared/fault"
	"github.com/atlhyper/observe/shared/model"
)

// list serves a page of the objects of a kind.
func (a *API) list(kind *resources.Kind) handler {
	return func(x *exchange, r *http.Request) error {
		p := a.params(x, r)
		p.readCluster()
		query := p.listQuery(kind)
		if err := p.finish(); err != nil {
			return err
		}
		section, objects, err := a.objects(r.Context(), p.cluster, kind)
		if err != nil {
			return err
		}
		page := objects.List(query)
		body, err := envelope.FromList(page.Objects, envelope.ListMeta{
			Meta: *section.Meta(), Total: page.Total, NextCursor: page.NextCursor,
		})
		if err != nil {
			return err
		}
		return a.sendPart(x, r, p.cluster, section, body, query.Tag())
	}
}

// object serves one object of a kind.
func (a *API) object(kind *resources.Kind) handler {
	return func(x *exchange, r *http.Request) error {
		p := a.params(x, r)
		p.readCluster()
		namespace, name := "", p.path("name")
		if kind.Namespaced {
			namespace = p.path("namespace")
		}
		if err := p.finish(); err != nil {
			return err
		}
		section, objects, err := a.objects(r.Context(), p.cluster, kind)
		if err != nil {
			return err
		}
		object, found := objects.Get(namespace, name)
		if !found {
			return fault.New(fault.NotFound, "there is no %s %.300s in cluster %s",
				kind.Noun, strings.TrimPrefix(namespace+"/"+name, "/"), p.cluster)
		}
		body, _, err := envelope.FromJSON(object, *section.Meta())
		if err != nil {
			return err
		}
		return a.sendPart(x, r, p.cluster, section, body, resources.Tag(string(kind.Section), namespace, name))
	}
}

// listQuery reads the parameters of a list.
func (p *params) listQuery(kind *resources.Kind) *resources.Query {
	given := resources.Params{
		Q:      p.text("q"),
		Sort:   p.text("sort"),
		Cursor: p.text("cursor"),
		Limit:  int(p.integer("limit", resources.DefaultLimit, 1, resources.MaxLimit)),
	}
	if kind.Namespaced {
		given.Namespace = p.text("namespace")
	}
	if kind.Labelled {
		given.LabelSelector = p.text("label_selector")
	}
	query, err := resources.NewQuery(kind, string(p.cluster), given)
	p.check(err)
	return query
}

// objects are the objects of a kind, and the section that they lie in. Errors are those
// of Section and of objectsOf.
func (a *API) objects(ctx context.Context, cluster key.Cluster, kind *resources.Kind) (*dashboard.Answer, resources.Objects, error) {
	section, err := a.cfg.Dashboards.Section(ctx, cluster, kind.Section)
	if err != nil {
		return nil, resources.Objects{}, a.explain(ctx, cluster, err)
	}
	objects, err := objectsOf(section, cluster, kind)
	return section, objects, err
}

// objectsOf are the objects in a section. What is made of its value to list them is held
// with it. The error is store_unavailable when the value is not what the kind has.
func objectsOf(section *dashboard.Answer, cluster key.Cluster, kind *resources.Kind) (resources.Objects, error) {
	index, err := dashboard.Derive(section, func(data []byte) (*resources.Index, error) {
		return resources.Parse(kind, data)
	})
	if err != nil {
		return resources.Objects{}, fault.Wrap(err, fault.StoreUnavailable,
			"section %s of cluster %s cannot be read: %.200s", kind.Section, cluster, err)
	}
	return index.In(section.Data())
}

// errNoKubernetes is why no section of Kubernetes is there.
var errNoKubernetes = errors.New("the cluster has no section of Kubernetes")

// explain returns err, or, when the section is not there because the cluster's agent has
// nothing to do with Kubernetes, an error that says so and wraps errNoKubernetes.
func (a *API) explain(ctx context.Context, cluster key.Cluster, err error) error {
	if !fault.Is(err, fault.NotReady) {
		return err
	}
	shown, failure := a.cfg.Dashboards.Cluster(ctx, cluster)
	if failure != nil || len(shown.Sections) == 0 {
		return err // it is not for Kubernetes alone that it is not ready
	}
	for name := range shown.Sections {
		if isKube(name) {
			return err
		}
	}
	return fault.Wrap(errNoKubernetes, fault.NotReady, "cluster %s shows no Kubernetes objects: its agent does not read the Kubernetes API "+
		"(--kubernetes=off, or auto outside of a cluster), or has not yet", cluster)
}

func isKube(name model.Section) bool { return strings.HasPrefix(string(name), "k8s.") }

// sendPart writes a body that is made of a part of a section, as the section itself. tag
// tells the parts apart.
func (a *API) sendPart(x *exchange, r *http.Request, cluster key.Cluster, section *dashboard.Answer, body []byte, tag string) error {
	return a.sendAnswer(x, r, cluster, dashboard.NewAnswer(dashboard.Content{
		Body: body, ETag: section.ETag() + "-" + tag, CollectedAt: section.CollectedAt(),
	}, a.compressor))
}
