package api

import (
	"net/http"
	"strings"

	"github.com/atlhyper/observe/master/dispatch"
	"github.com/atlhyper/observe/shared/detail"
	"github.com/atlhyper/observe/shared/fault"
	"github.com/atlhyper/observe/shared/span"
)

// detail serves an endpoint that runs on a cluster's agent.
func (a *API) detail(route detailRoute) handler {
	return func(x *exchange, r *http.Request) error {
		p := a.detailParams(x, r, route.kind)
		request := p.readDetail(route)
		if err := p.finish(); err != nil {
			return err
		}
		return a.ask(x, r, p, request)
	}
}

// readDetail reads a request; one that is not a GET has its cluster in its body.
func (p *params) readDetail(route detailRoute) detail.Request {
	if route.method == http.MethodGet {
		p.readCluster()
	}
	p.readTimeout()
	return route.parse(p)
}

// ask runs a request whose parameters are read and sends its answer.
func (a *API) ask(x *exchange, r *http.Request, p *params, request detail.Request) error {
	if err := request.Validate(); err != nil {
		return fault.New(fault.BadRequest, "%s", err)
	}
	if a.cfg.Audit != nil {
		x.note().detail = request
	}
	if err := a.chargeDetail(x, r, p.cluster); err != nil {
		return err
	}
	ctx := span.WithRequest(r.Context(), x.requestID())
	if x.span() == nil { // it goes on with the caller's trace, if not with ours
		ctx = span.Continue(ctx, r.Header.Get("Traceparent"))
	}
	body, err := a.cfg.Details.Do(ctx, dispatch.Request{
		Cluster: p.cluster,
		Detail:  request,
		Timeout: p.timeout,
	})
	if err != nil {
		return err
	}
	return a.send(x, r, body)
}

func parseNode(p *params) detail.Request {
	return detail.Node{Name: p.path("name")}
}

func parseNodeSeries(p *params) detail.Request {
	return detail.NodeSeries{
		Name:        p.path("name"),
		Metric:      p.text("metric"),
		Range:       p.minutesOrRange().Range,
		StepSeconds: p.seconds("step"),
	}
}

func parseTraces(p *params) detail.Request {
	request := detail.Traces{
		Range:         p.timeRange().Range,
		Service:       p.text("service"),
		Operation:     p.text("operation"),
		MinDurationMs: p.milliseconds("min_duration"),
		MaxDurationMs: p.milliseconds("max_duration"),
		StatusCode:    p.statusCode("status_code"),
		Method:        p.method("method"),
		HasError:      p.boolean("has_error"),
		Sort:          detail.TraceSort(p.text("sort")),
		Limit:         p.integer("limit", 50, 1, 1000),
		Offset:        p.integer("offset", 0, 0, detail.MaxOffset),
		Cursor:        p.text("cursor"),
	}
	if request.Sort == "" {
		request.Sort = detail.SortTime
	}
	if request.MaxDurationMs > 0 && request.MaxDurationMs < request.MinDurationMs {
		p.fail("max_duration", "%v is less than min_duration, %v", request.MaxDurationMs, request.MinDurationMs)
	}
	return request
}

func parseTrace(p *params) detail.Request {
	return detail.Trace{TraceID: strings.ToLower(p.path("id"))}
}

func parseSLOSeries(p *params) detail.Request {
	return detail.SLOSeries{
		Service:         p.text("service"),
		Range:           p.timeRange().Range,
		IntervalSeconds: p.seconds("interval"),
	}
}

// statusCode returns an HTTP status code as text, "" when it is absent.
func (p *params) statusCode(name string) string {
	text := p.text(name)
	if text == "" {
		return ""
	}
	if len(text) != 3 || text[0] < '1' || text[0] > '5' || strings.Trim(text, "0123456789") != "" {
		p.fail(name, "%.40q is no HTTP status code between 100 and 599", text)
	}
	return text
}

// method returns an HTTP method in upper case, "" when it is absent.
func (p *params) method(name string) string {
	text := strings.ToUpper(p.text(name))
	if len(text) > 32 || strings.Trim(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ-_") != "" {
		p.fail(name, "%.40q is no HTTP method", text)
	}
	return text
}
