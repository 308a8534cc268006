package api

import (
	"net/http"
	"sync/atomic"
	"time"

	"github.com/atlhyper/observe/master/access"
	"github.com/atlhyper/observe/master/limit"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/redis/metric"
	"github.com/atlhyper/observe/shared/fault"
)

// DetailTokens is what a detail request takes of its caller's bucket; all others take
// one, probes none.
const DetailTokens = 10

// Limits say how often somebody may ask of this replica. What is nil is not limited.
type Limits struct {
	// Callers are by name, or by address (IPv6 by /64) where callers are not told apart.
	Callers *limit.Buckets[string]
	// Clusters bound the detail requests for one cluster, of all callers together: also
	// those that share the reply to an equal one.
	Clusters *limit.Buckets[key.Cluster]
	// Failures bound the credentials that are not valid which an address may try.
	Failures *limit.Failures
}

// limited counts what was refused, by the limit.
type limited struct{ caller, cluster, address atomic.Int64 }

func (l *limited) rows() []metric.Row {
	var rows []metric.Row
	for by, counter := range map[string]*atomic.Int64{"caller": &l.caller, "cluster": &l.cluster, "address": &l.address} {
		rows = append(rows, metric.Row{
			Name: "http_rate_limited_total", Label: "by", Value: by, Counter: counter,
			Help: "Requests refused by a rate limit: of the caller, of the cluster that they are about, or of the address from which credentials come that are not valid.",
		})
	}
	return rows
}

func (c cost) tokens() int {
	switch c {
	case costDashboard:
		return 1
	case costDetail:
		return DetailTokens
	default:
		return 0
	}
}

// charge takes tokens of the caller's bucket; the error is rate_limited.
func (a *API) charge(x *exchange, r *http.Request, tokens int) error {
	if a.cfg.Limits.Callers == nil {
		return nil
	}
	name := x.caller.Name
	if a.anyone != nil {
		name = limit.Network(a.cfg.Proxies.Addr(r)).String()
	}
	if wait := a.cfg.Limits.Callers.Take(name, tokens); wait > 0 {
		a.limited.caller.Add(1)
		return tooMany(wait, "you ask more often than this replica allows one caller")
	}
	return nil
}

// chargeDetail takes what a detail request costs that charge has not taken yet: of the
// cluster's bucket, and of the caller's for a dashboard that turned out to be a detail.
// The error is rate_limited.
func (a *API) chargeDetail(x *exchange, r *http.Request, cluster key.Cluster) error {
	if err := a.charge(x, r, DetailTokens-x.endpoint.rule.cost.tokens()); err != nil {
		return err
	}
	if wait := a.cfg.Limits.Clusters.Take(cluster, 1); wait > 0 {
		a.limited.cluster.Add(1)
		return tooMany(wait, "cluster "+string(cluster)+" is asked for details more often than this replica allows")
	}
	return nil
}

// verify is Authenticate, whose refusals are limited by address. What is valid counts
// whatever else came from there: tokens cannot be guessed, and those behind one address
// must not be locked out by one of them. Errors are those of access.Authenticator, and
// rate_limited.
func (a *API) verify(r *http.Request, token string) (*access.Caller, error) {
	caller, err := a.cfg.Access.Authenticate(r.Context(), token)
	if !fault.Is(err, fault.Unauthorized) {
		return caller, err
	}
	from := a.cfg.Proxies.Addr(r)
	if wait := a.cfg.Limits.Failures.Wait(from); wait > 0 {
		a.limited.address.Add(1)
		return nil, tooMany(wait, "too many credentials that are not valid came from your address")
	}
	a.cfg.Limits.Failures.Refused(from, token)
	return nil, err
}

func tooMany(wait time.Duration, why string) error {
	return fault.New(fault.RateLimited, "%s; try again in %s s", why, retryAfter(wait)).After(wait)
}
