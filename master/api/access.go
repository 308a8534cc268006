package api

import (
	"net/http"
	"time"

	"github.com/atlhyper/observe/master/access"
	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/shared/fault"
)

// audience is who may call an endpoint. There is no default: route refuses the zero value.
type audience uint8

const (
	anybody   audience = iota + 1 // also without credentials
	callers                       // whoever is known
	viewers                       // who has the role, or a higher one
	operators                     // the same
	overseers                     // viewers of all clusters
)

// cost is what a request takes: how dear it is, not how long.
type cost uint8

const (
	costFree      cost = iota + 1
	costDashboard      // an answer from memory
	costDetail         // a command to an agent
)

// rule says who may call an endpoint, and what a call costs.
type rule struct {
	audience audience
	cost     cost
}

func (u rule) isSet() bool { return u.audience != 0 && u.cost != 0 }

// check tells whether the caller may call, in any cluster; the error is forbidden.
func (u rule) check(caller *access.Caller) error {
	switch {
	case u.audience == viewers && !caller.Role.Covers(access.Viewer):
		return needs(access.Viewer)
	case u.audience == operators && !caller.Role.Covers(access.Operator):
		return needs(access.Operator)
	case u.audience == overseers && (!caller.Role.Covers(access.Viewer) || !caller.SeesAll()):
		return fault.New(fault.Forbidden, "this is only for callers who may see all clusters")
	}
	return nil
}

func needs(role access.Role) error {
	return fault.New(fault.Forbidden, "this needs the role %s", role)
}

// admit finds out who calls, and whether the endpoint is for such.
func (e *endpoint) admit(x *exchange, r *http.Request) error {
	if err := refuseCredentials(r.URL); err != nil {
		return err
	}
	if e.rule.audience == anybody {
		return nil
	}
	caller, err := e.api.authenticate(x, r)
	if caller != nil {
		x.caller = caller // also one who has no right: the audit says who it was
	}
	if err != nil {
		return err
	}
	if err := e.api.charge(x, r, e.rule.cost.tokens()); err != nil { // also for what is forbidden
		return err
	}
	return e.rule.check(caller)
}

// authenticate returns who calls; errors are those of verify.
func (a *API) authenticate(x *exchange, r *http.Request) (*access.Caller, error) {
	if a.anyone != nil {
		return a.anyone, nil // whatever they present is nobody's business
	}
	var err error
	if x.credential, err = a.readCredential(r); err != nil {
		return nil, err
	}
	if x.cookie {
		if err := a.checkOrigin(r); err != nil {
			return nil, err
		}
	}
	return a.verify(r, x.token)
}

// checkOrigin refuses a request that a page of somebody else had a browser send, and to
// which the browser added the cookie. The error is forbidden.
func (a *API) checkOrigin(r *http.Request) error {
	if err := a.crossOrigin.Check(r); err != nil {
		return fault.Wrap(err, fault.Forbidden, "a page of another origin may not do this with your session")
	}
	return nil
}

// readmit is admit for a request that goes on: the token may have ended or been
// withdrawn since, or give less than it gave.
func (a *API) readmit(x *exchange, r *http.Request) error {
	if a.anyone != nil {
		return nil
	}
	caller, err := a.cfg.Access.Authenticate(r.Context(), x.token)
	switch ended := x.caller.Expires; {
	case fault.Is(err, fault.Unavailable) && (ended.IsZero() || time.Now().Before(ended)):
		return nil // what was found out before holds
	case err != nil:
		return err
	}
	x.caller = caller
	if err := x.endpoint.rule.check(caller); err != nil {
		return err
	}
	return x.see(x.cluster)
}

// see notes which cluster a request is about. One that the caller may not see does not
// exist for it: the error is that of a cluster that was never seen. Every cluster of a
// request goes through here before anything is asked about it.
func (x *exchange) see(cluster key.Cluster) error {
	x.cluster = cluster
	if !x.caller.Sees(cluster) {
		x.hidden = true
		return fault.UnknownCluster(string(cluster))
	}
	if x.endpoint.rule.audience == operators {
		return x.mustOperate()
	}
	return nil
}

// mustOperate tells whether the caller may run details in the cluster; the error is
// forbidden.
func (x *exchange) mustOperate() error {
	if !x.caller.RoleIn(x.cluster).Covers(access.Operator) {
		return needs(access.Operator)
	}
	return nil
}

// visible are the clusters of a list that exist for the caller; the list stays as it is.
func visible[T any](caller *access.Caller, all []T, id func(*T) string) []T {
	if caller.SeesAll() {
		return all
	}
	seen := make([]T, 0, len(all))
	for i := range all {
		if caller.Sees(key.Cluster(id(&all[i]))) {
			seen = append(seen, all[i])
		}
	}
	return seen
}
