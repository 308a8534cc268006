package api

import (
	"net/http"
	"time"

	"github.com/atlhyper/observe/master/access"
	"github.com/atlhyper/observe/shared/fault"
	"github.com/atlhyper/observe/shared/httpserver"
	"github.com/atlhyper/observe/shared/model"
)

// A session is a token in a cookie, for browsers, whose event streams can send no other
// header. Nothing of it is kept here: any replica can serve it, and it ends with its
// token (ADR 20).
const (
	sessionCookie = "atlhyper_session"
	// maxSession is how long a browser keeps it; the token may end before.
	maxSession = 12 * time.Hour
	// maxSessionToken is what browsers keep of a cookie, 4,096 bytes, less what stands
	// around the token.
	maxSessionToken = 4000
)

// session says to callers who they are.
type session struct {
	Auth     access.Mode    `json:"auth"`
	Name     string         `json:"name"`
	Role     string         `json:"role"`     // the highest
	Clusters []string       `json:"clusters"` // patterns
	Grants   []sessionGrant `json:"grants"`
	// Expires is when the token ends; "" for never.
	Expires model.Time `json:"expires"`
}

// sessionGrant is a role in some clusters.
type sessionGrant struct {
	Role     string   `json:"role"`
	Clusters []string `json:"clusters"`
}

// showSession says who asks.
func (a *API) showSession(x *exchange, r *http.Request) error {
	if err := a.params(x, r).finish(); err != nil {
		return err
	}
	caller := x.caller
	shown := session{
		Auth: a.cfg.Access.Mode(), Name: caller.Name, Role: caller.Role.String(), Clusters: caller.Clusters.Globs(),
		Expires: model.NewTime(caller.Expires),
	}
	for _, g := range caller.Grants() {
		shown.Grants = append(shown.Grants, sessionGrant{g.Role.String(), g.Clusters.Globs()})
	}
	return a.sendValue(x, r, shown, "")
}

// openSession puts the token of the header Authorization into a cookie. Where callers
// are not told apart there is nothing to put there.
func (a *API) openSession(x *exchange, r *http.Request) error {
	switch {
	case a.anyone != nil:
	case x.cookie:
		return access.Missing() // it is the session that there is
	case len(x.token) > maxSessionToken:
		return fault.New(fault.BadRequest, "the token is longer than %d bytes, and browsers keep no such cookie", maxSessionToken)
	default:
		left := maxSession
		if expires := x.caller.Expires; !expires.IsZero() {
			left = min(left, time.Until(expires))
		}
		// A Max-Age of 0 is none, and below it the end of the cookie.
		http.SetCookie(x, a.newSessionCookie(r, x.token, max(1, int(left/time.Second))))
	}
	return a.showSession(x, r)
}

// closeSession has the browser drop the cookie. Also one that is not valid any more.
func (a *API) closeSession(x *exchange, r *http.Request) error {
	if err := a.params(x, r).finish(); err != nil {
		return err
	}
	if len(r.CookiesNamed(a.sessionName(r))) > 0 {
		if err := a.checkOrigin(r); err != nil {
			return err
		}
	}
	http.SetCookie(x, a.newSessionCookie(r, "", -1))
	x.Header()["Cache-Control"] = a.values.noStore
	x.WriteHeader(http.StatusNoContent)
	return nil
}

func (a *API) newSessionCookie(r *http.Request, token string, maxAge int) *http.Cookie {
	return &http.Cookie{
		Name: a.sessionName(r), Value: token, Path: "/", MaxAge: maxAge,
		Secure: a.isSecure(r), HttpOnly: true, SameSite: http.SameSiteStrictMode,
	}
}

// sessionName is the cookie's name. Browsers let nobody but this host, by TLS, set one
// with the prefix __Host-.
func (a *API) sessionName(r *http.Request) string {
	if a.isSecure(r) {
		return "__Host-" + sessionCookie
	}
	return sessionCookie
}

// isSecure tells whether cookies are for TLS alone: always, unless the browser asks its
// own machine without it. What a proxy says only ever makes it so, and where some are
// expected the name that is asked for may be theirs for us.
func (a *API) isSecure(r *http.Request) bool {
	return r.TLS != nil || a.cfg.Proxies.Any() || len(r.Header["X-Forwarded-Proto"]) > 0 || !httpserver.IsLoopback(httpserver.Hostname(r.Host))
}
