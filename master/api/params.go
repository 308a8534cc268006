package api

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/atlhyper/observe/redis/key"
	"github.com/atlhyper/observe/shared/detail"
	"github.com/atlhyper/observe/shared/fault"
	"github.com/atlhyper/observe/shared/model"
)

// params reads the parameters of one request. Readers of single parameters note
// the first error and return a zero value; finish tells it, and refuses what
// nobody asked for: a misspelt filter would otherwise silently widen a search.
// A parameter with an empty value counts as absent.
type params struct {
	exchange *exchange
	request  *http.Request
	query    url.Values
	known    []string
	err      error

	now        func(key.Cluster) time.Time // as Config.Now
	maxRange   time.Duration
	maxTimeout time.Duration
	grid       time.Duration // on which a relative time range ends

	cluster key.Cluster
	timeout time.Duration
}

// detailParams are those of a request that becomes one of the kind: its relative
// time range ends on the grid on which results of the kind are shared.
func (a *API) detailParams(x *exchange, r *http.Request, kind detail.Kind) *params {
	p := a.params(x, r)
	p.grid = key.ResultTTL(kind)
	return p
}

func (a *API) params(x *exchange, r *http.Request) *params {
	p := &params{
		exchange:   x,
		request:    r,
		now:        a.cfg.Now,
		maxRange:   a.cfg.MaxRange,
		maxTimeout: a.cfg.MaxTimeout,
		timeout:    a.cfg.Timeout,
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		p.fail("query string", "is malformed")
	}
	p.query = query
	return p
}

// fail notes the first error; later ones are told once it is mended.
func (p *params) fail(name, format string, args ...any) {
	if p.err == nil {
		p.err = fault.New(fault.BadRequest, "%s: %s", name, fmt.Sprintf(format, args...))
	}
}

// check is fail for an error that names its parameter itself.
func (p *params) check(err error) {
	if err != nil && p.err == nil {
		p.err = fault.New(fault.BadRequest, "%s", err)
	}
}

// finish returns what is wrong with the parameters, and of a cluster that the caller may
// not see that there is none. An unknown parameter goes first: it is the likely cause of
// a missing one.
func (p *params) finish() error {
	var unknown []string
	for name := range p.query {
		if !slices.Contains(p.known, name) {
			unknown = append(unknown, name)
		}
	}
	switch {
	case len(unknown) == 0 && p.err == nil && p.cluster != "":
		return p.exchange.see(p.cluster)
	case len(unknown) == 0:
		return p.err
	case len(p.known) == 0:
		return fault.New(fault.BadRequest, "%.40q: is no parameter of this endpoint, which has none", slices.Min(unknown))
	default:
		return fault.New(fault.BadRequest, "%.40q: is no parameter of this endpoint; there are %s",
			slices.Min(unknown), strings.Join(p.known, ", "))
	}
}

// text returns a parameter, "" when it is absent.
func (p *params) text(name string) string {
	p.known = append(p.known, name)
	values := p.query[name]
	switch len(values) {
	case 0:
		return ""
	case 1:
		return values[0]
	default:
		p.fail(name, "is given %d times", len(values))
		return ""
	}
}

// path returns a part of the path, unescaped once.
func (p *params) path(name string) string {
	value := chi.URLParam(p.request, name)
	if p.request.URL.RawPath == "" {
		return value // chi matched the unescaped path
	}
	unescaped, err := url.PathUnescape(value)
	if err != nil {
		p.fail(name, "is malformed")
	}
	return unescaped
}

// integer returns a whole number within bounds, or the default when it is absent.
func (p *params) integer(name string, def, low, high int64) int64 {
	text := p.text(name)
	if text == "" {
		return def
	}
	value, err := strconv.ParseInt(text, 10, 64)
	if err != nil || value < low || value > high {
		p.fail(name, "%.40q is no whole number between %d and %d", text, low, high)
		return def
	}
	return value
}

// milliseconds returns a number of milliseconds, 0 when it is absent.
func (p *params) milliseconds(name string) float64 {
	const day = 86_400_000
	text := p.text(name)
	if text == "" {
		return 0
	}
	value, err := strconv.ParseFloat(text, 64)
	if err != nil || !(value >= 0 && value <= day) { // also refuses NaN
		p.fail(name, "%.40q is no number of milliseconds between 0 and %d", text, day)
		return 0
	}
	return value
}

// boolean returns true, false, or nil when the parameter is absent.
func (p *params) boolean(name string) *bool {
	switch text := p.text(name); text {
	case "":
		return nil
	case "true", "1":
		return new(true)
	case "false", "0":
		return new(false)
	default:
		p.fail(name, "%.40q is neither true nor false", text)
		return nil
	}
}

// seconds returns a duration in whole seconds, 0 when it is absent.
func (p *params) seconds(name string) int64 {
	text := p.text(name)
	if text == "" {
		return 0
	}
	d, err := parseSeconds(text)
	if err != nil || d%time.Second != 0 {
		p.fail(name, "%.40q is no duration in whole seconds such as 15s, 5m or 60", text)
		return 0
	}
	return int64(d / time.Second)
}

// readCluster reads the cluster, which every endpoint needs, before any time range:
// that ends on the cluster's clock.
func (p *params) readCluster() { p.setCluster(p.text("cluster_id")) }

func (p *params) setCluster(id string) {
	err := key.ValidateCluster(id)
	p.check(err)
	p.cluster = key.Cluster(id)
	if err == nil {
		p.exchange.cluster = p.cluster // what is audited says it also when something else is wrong
	}
}

// sections reads names of sections with commas between; all dashboards when it is
// absent.
func (p *params) sections(name string) []model.Section {
	dashboards := dashboardSections()
	text := p.text(name)
	if text == "" {
		return dashboards
	}
	all := slices.Concat(dashboards, resourceSections())
	var chosen []model.Section
	for part := range strings.SplitSeq(text, ",") {
		section := model.Section(part)
		switch {
		case !slices.Contains(all, section):
			p.fail(name, "%.40q is no section; there are %s", part, join(all))
			return dashboards
		case slices.Contains(chosen, section):
			p.fail(name, "%s is named twice", part)
			return dashboards
		}
		chosen = append(chosen, section)
	}
	return chosen
}

func join(sections []model.Section) string {
	names := make([]string, len(sections))
	for i, section := range sections {
		names[i] = string(section)
	}
	return strings.Join(names, ", ")
}

// readTimeout reads how long the caller waits.
func (p *params) readTimeout() { p.setTimeout(p.text("timeout")) }

func (p *params) setTimeout(text string) {
	if text == "" {
		return
	}
	d, err := parseSeconds(text)
	switch {
	case err != nil:
		p.fail("timeout", "%.40q %s", text, err)
	case d < minTimeout || d > p.maxTimeout:
		p.fail("timeout", "%s is not between %s and %s", FormatDuration(d), minTimeout, FormatDuration(p.maxTimeout))
	default:
		p.timeout = d
	}
}

// minTimeout leaves an agent the time to do anything at all.
const minTimeout = 100 * time.Millisecond
