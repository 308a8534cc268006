package api

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/atlhyper/observe/master/access"
	"github.com/atlhyper/observe/shared/ascii"
	"github.com/atlhyper/observe/shared/fault"
)

// credential is what a caller presents.
type credential struct {
	token  string
	cookie bool // it came in one
}

// readCredential reads the header Authorization or, when there is none, the session's
// cookie. The errors are unauthorized.
func (a *API) readCredential(r *http.Request) (credential, error) {
	headers := r.Header["Authorization"]
	if len(headers) == 0 {
		return a.readSession(r)
	}
	scheme, token, _ := strings.Cut(headers[0], " ")
	token = strings.Trim(token, " ")
	if len(headers) > 1 || !strings.EqualFold(scheme, "Bearer") || !isToken(token) {
		return credential{}, access.Invalid()
	}
	return credential{token: token}, nil
}

// readSession reads the cookie. Two of one name are none: somebody else set one of them.
func (a *API) readSession(r *http.Request) (credential, error) {
	switch cookies := r.CookiesNamed(a.sessionName(r)); {
	case len(cookies) == 0:
		return credential{}, access.Missing()
	case len(cookies) > 1 || !isToken(cookies[0].Value):
		return credential{}, access.Invalid()
	default:
		return credential{token: cookies[0].Value, cookie: true}, nil
	}
}

// isToken tells whether a text has the form of a bearer token: RFC 6750, 2.1. Such a
// one can stand in a cookie as it is.
func isToken(s string) bool {
	body := strings.TrimRight(s, "=")
	return body != "" && len(s) <= access.MaxToken && ascii.IndexOther(body, "-._~+/") < 0
}

// refuseCredentials refuses a URL that holds what looks like credentials: URLs are kept
// by browsers and written to logs. The error names the parameter and not its value.
func refuseCredentials(u *url.URL) error {
	if u.User != nil {
		return fault.New(fault.BadRequest, "URL: user names and passwords do not belong here; send the header Authorization")
	}
	rest := u.RawQuery
	if rest == "" {
		return nil
	}
	if _, ok := onlyCluster(rest); ok {
		return nil
	}
	for rest != "" {
		var pair string
		pair, rest, _ = strings.Cut(rest, "&")
		name, _, _ := strings.Cut(pair, "=")
		if strings.ContainsAny(name, "%+") {
			unescaped, err := url.QueryUnescape(name)
			if err != nil {
				continue // no parameter at all: the query string is malformed
			}
			name = unescaped
		}
		if isCredentialName(name) {
			return fault.New(fault.BadRequest, "%s: credentials do not belong into a URL; send the header Authorization", strings.ToLower(name))
		}
	}
	return nil
}

// isCredentialName knows the names under which others take tokens in URLs.
func isCredentialName(name string) bool {
	switch strings.ToLower(name) {
	case "access_token", "id_token", "refresh_token", "token", "auth_token", "bearer", "authorization", "api_key", "apikey", "password":
		return true
	default:
		return false
	}
}
