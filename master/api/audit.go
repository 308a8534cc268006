package api

import (
	"net/http"
	"strings"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/atlhyper/observe/master/audit"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/shared/detail"
	"github.com/atlhyper/observe/shared/fault"
)

// noted is what an audit line says of a request beside what an exchange knows anyway,
// and its trace.
type noted struct {
	span    trace.Span     // nil when it makes none
	detail  detail.Request // nil: it was none, or did not come to that
	refused bool           // before its handler ran
}

// note is for a request that is no poll of a dashboard: those allocate nothing for it.
func (x *exchange) note() *noted {
	if x.noted == nil {
		x.noted = &noted{}
	}
	return x.noted
}

// Outcomes beside the error codes.
const (
	outcomeOK     = "ok"
	outcomeGone   = "canceled"       // the caller hung up before the answer
	outcomeHidden = "cluster_hidden" // told that there is no such cluster, which it may not see
)

// outcome is what an audit line says of the end, and whether that was a refusal; "" when
// there is nothing to audit: what is read of a snapshot, and what is wrong without being
// refused.
func (x *exchange) outcome() (outcome string, refused bool) {
	var n noted
	if x.noted != nil {
		n = *x.noted
	}
	refused = n.refused || x.hidden || x.code == fault.Unauthorized || x.code == fault.Forbidden || x.code == fault.RateLimited
	switch isDetail := n.detail != nil || x.endpoint.rule.cost == costDetail; {
	case !refused && !isDetail:
		return "", refused
	case x.hidden:
		return outcomeHidden, refused
	case x.code != "":
		return string(x.code), refused
	case x.status == 0:
		return outcomeGone, refused
	default:
		return outcomeOK, refused
	}
}

// askedCluster is what the request is about: also when it was refused before that was
// looked at; "" when that cannot be told.
func askedCluster(x *exchange, r *http.Request) key.Cluster {
	if x.cluster != "" {
		return x.cluster
	}
	id := r.URL.Query().Get("cluster_id")
	if id == "" {
		id, _ = strings.CutPrefix(r.URL.Path, Prefix+"/clusters/")
	}
	if key.ValidateCluster(id) != nil {
		return ""
	}
	return key.Cluster(id)
}

// audit writes a line for a request that ran on an agent, or was refused.
func (a *API) audit(x *exchange, r *http.Request, took time.Duration) {
	if a.cfg.Audit == nil {
		return
	}
	outcome, refused := x.outcome()
	if outcome == "" {
		return
	}
	cluster, role := askedCluster(x, r), x.caller.Role
	if cluster != "" {
		role = x.caller.RoleIn(cluster)
	}
	a.cfg.Audit.Write(r.Context(), &audit.Entry{
		Begun:     x.begun,
		Caller:    x.caller.Name,
		Role:      role.String(),
		Auth:      string(a.cfg.Access.Mode()),
		Cluster:   string(cluster),
		Method:    r.Method,
		Route:     x.endpoint.metrics.route,
		Detail:    x.note().detail,
		Outcome:   outcome,
		Refused:   refused,
		Status:    x.status,
		Bytes:     x.bytes,
		Took:      took,
		RequestID: x.requestID(),
		TraceID:   x.traceID(r),
		Remote:    a.cfg.Proxies.Addr(r),
	})
}
